// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.witness.SharedData;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Wbinvd;
import org.junit.jupiter.api.Test;

/**
 * A real board with two units: one without snoop control for the audio function alone, one with it for all the rest.
 *
 * <p>A Huananzhi X99-QD4. Its DMAR is read from the outside data; CAP and ECAP are as its kernel log prints them, its
 * functions and ports as its lspci listing shows them.
 */
class X99BoardTest {
    private static final PciAddress AUDIO = PciAddress.parse("0000:00:1b.0");
    private static final PciAddress ETHERNET = PciAddress.parse("0000:08:00.0");
    private static final PciAddress FIRST_PORT = PciAddress.parse("0000:00:1c.0");
    private static final PciAddress THIRD_PORT = PciAddress.parse("0000:00:1c.2");

    private static final int INTEL = 0x8086;
    private static final int REALTEK = 0x10ec;
    private static final int CLASS_AUDIO = 0x040300;
    private static final int CLASS_USB = 0x0c0330;
    private static final int TYPE_ROOT_COMPLEX_INTEGRATED_ENDPOINT = 9;

    private static MachineDescription board() throws IOException {
        Path dmar = SharedData.path("data/machines/huananzhi-x99-qd4/DMAR.dat");
        List<FunctionDescription> functions = List.of(
                function(
                        "0000:00:00.0",
                        Optional.empty(),
                        ConfigSpaceBuilder.conventional(INTEL, 0x2f00, ConfigSpaceBuilder.CLASS_HOST_BRIDGE)
                                .build(),
                        "dmar1"),
                function(
                        "0000:00:14.0",
                        Optional.empty(),
                        ConfigSpaceBuilder.conventional(INTEL, 0x8c31, CLASS_USB)
                                .build(),
                        "dmar1"),
                function(
                        "0000:00:1a.0",
                        Optional.empty(),
                        ConfigSpaceBuilder.conventional(INTEL, 0x8c2d, CLASS_USB)
                                .build(),
                        "dmar1"),
                function(AUDIO.toString(), Optional.empty(), audio(), "dmar0"),
                function(
                        FIRST_PORT.toString(),
                        Optional.empty(),
                        ConfigSpaceBuilder.rootPort(INTEL, 0x8c10, 0, 7, 7)
                                .multiFunction()
                                .build(),
                        "dmar1"),
                function(
                        THIRD_PORT.toString(),
                        Optional.empty(),
                        ConfigSpaceBuilder.rootPort(INTEL, 0x8c14, 0, 8, 8)
                                .multiFunction()
                                .build(),
                        "dmar1"),
                function(
                        "0000:00:1d.0",
                        Optional.empty(),
                        ConfigSpaceBuilder.conventional(INTEL, 0x8c26, CLASS_USB)
                                .build(),
                        "dmar1"),
                function(
                        ETHERNET.toString(),
                        Optional.of(THIRD_PORT),
                        ConfigSpaceBuilder.endpoint(REALTEK, 0x8168, ConfigSpaceBuilder.CLASS_ETHERNET)
                                .build(),
                        "dmar1"));
        return new MachineDescription(
                "huananzhi-x99-qd4",
                ProcessorDescription.x86(4, HardwareVirtualization.VMX, CacheGeometry.ORDINARY),
                256L << 20,
                List.of(
                        VtdUnitProvider.unit("dmar0", 0xfbffd000L, 0xd2008c10ef0466L, 0xf0205bL),
                        VtdUnitProvider.unit("dmar1", 0xfbffc000L, 0xd2078c106f0466L, 0xf020dfL)),
                functions,
                Map.of("DMAR", Files.readAllBytes(dmar)),
                BootOptions.DEFAULT);
    }

    private static FunctionDescription function(
            String address, Optional<PciAddress> bridge, byte[] config, String unit) {
        return new FunctionDescription(PciAddress.parse(address), bridge, config, Optional.of(unit), false);
    }

    /** The builder makes ordinary endpoints; this one is integrated in the root complex. */
    private static byte[] audio() {
        byte[] config = ConfigSpaceBuilder.endpoint(INTEL, 0x8c20, CLASS_AUDIO).build();
        int capability = config[0x34] & 0xff;
        while (config[capability] != ConfigSpace.CAPABILITY_PCI_EXPRESS) {
            capability = config[capability + 1] & 0xff;
        }
        config[capability + 2] |= (byte) (TYPE_ROOT_COMPLEX_INTEGRATED_ENDPOINT << 4);
        return config;
    }

    @Test
    void theAudioFunctionAndTheNetworkCardGetTwoDomainsWithTheSameMappings() throws IOException {
        Workbench workbench = Workbench.create();
        Outcome outcome = workbench
                .runner()
                .run(workbench.caseNamed("mixed-container"), board(), LinuxRelease.NEWEST, List.of(AUDIO, ETHERNET));
        Decision decision = outcome.decision();
        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(Verdict.COHERENT);
        assertThat(decision).isNotNull();
        assertThat(decision.enforceCacheCoherency()).isEqualTo(Enforcement.REFUSED);
        assertThat(decision.dmaCcIommu()).isFalse();
        assertThat(decision.kvmNoncoherentDma()).isTrue();
        assertThat(decision.wbinvd()).isEqualTo(Wbinvd.EXECUTED);
        assertThat(outcome.domains())
                .extracting(DomainOutcome::enforceCacheCoherency)
                .containsExactly(Enforcement.REFUSED, Enforcement.ENFORCED);
        assertThat(outcome.domains().get(0).devices()).containsExactly(AUDIO);
        assertThat(outcome.domains().get(1).devices()).contains(ETHERNET);
        assertThat(outcome.noSnoopSent()).isEqualTo(4);
        assertThat(outcome.noSnoopBlocked()).as("the network card's").isEqualTo(2);
        assertThat(outcome.noSnoopPassed()).as("the audio function's").isEqualTo(2);
    }

    /** Its root ports have no ACS; Linux makes them isolate through the chipset's own registers. */
    @Test
    void theNetworkCardIsApartFromTheRootPorts() throws IOException {
        Machine machine = MachineFactory.load().create(board());
        Iommu iommu = IommuVendors.load()
                .claiming(machine.firmware())
                .get(0)
                .open(machine.vendorContext(LinuxRelease.NEWEST));
        IommuCore core = IommuCore.open(iommu, machine.topology());
        for (PciAddress alone : List.of(FIRST_PORT, THIRD_PORT, ETHERNET, AUDIO)) {
            assertThat(core.group(alone).orElseThrow().devices())
                    .extracting(IommuDevice::id)
                    .containsExactly(alone);
        }
    }

    @Test
    void theBoardsOwnTableNamesTheUnitsThatWeWired() throws IOException {
        MachineDescription board = board();
        Machine machine = MachineFactory.load().create(board);
        HostDescription description = IommuVendors.load()
                .named("intel")
                .describe(machine.firmware(), machine.topology(), RegisterValues.UNKNOWN, LinuxRelease.NEWEST);
        for (FunctionDescription function : board.functions()) {
            assertThat(description.devices())
                    .filteredOn(device -> device.id().equals(function.address()))
                    .singleElement()
                    .satisfies(device ->
                            assertThat(Optional.ofNullable(device.unit())).isEqualTo(function.unit()));
        }
    }
}
