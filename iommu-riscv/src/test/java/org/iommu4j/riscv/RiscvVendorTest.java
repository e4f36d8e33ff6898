// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitDescription;
import org.junit.jupiter.api.Test;

/** What is said of hosts, and which units of firmware's are opened. */
class RiscvVendorTest {
    private static final RegisterValues KNOWN = (unit, base, register) ->
            register.equals("capabilities") ? OptionalLong.of(Hosts.CAPABILITIES) : OptionalLong.empty();

    private final RiscvVendor vendor = new RiscvVendor();

    private static Machine machine(MachineDescription description) {
        return new MachineFactory(List.of(new WalkingUnits())).createFlat(description);
    }

    private HostDescription describe(MachineDescription description) {
        Machine machine = machine(description);
        return vendor.describe(HostFacts.of(machine.firmware(), machine.topology(), KNOWN), LinuxRelease.NEWEST);
    }

    private static DeviceDescription device(HostDescription host, PciAddress address) {
        return host.devices().stream()
                .filter(device -> device.id().equals(address))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void noDomainBlocksNoSnoopAndVfioTakesNoDevice() {
        HostDescription host = describe(Hosts.twoUnits());
        assertThat(host.rule()).isEqualTo(CoherencyRule.NEVER);
        assertThat(host.refusal()).isNotNull();
        assertThat(host.warnings()).isEmpty();
        assertThat(host.devices()).allSatisfy(device -> {
            assertThat(device.enforceCacheCoherency()).isEqualTo(Answer.NO);
            assertThat(device.isolatedInterrupts()).isEqualTo(Answer.NO);
        });
        assertThat(device(host, BuiltInTopology.GPU).unit()).isEqualTo("riscv-iommu@RSCV0004:00");
        assertThat(device(host, BuiltInTopology.SECOND_GPU).unit()).isEqualTo("riscv-iommu@RSCV0004:01");
    }

    @Test
    void aUnitHasItsScopeAndItsCapabilitiesDecoded() {
        UnitDescription unit = describe(Hosts.twoUnits()).units().get(1);
        assertThat(unit.scope())
                .extracting(Object::toString)
                .containsExactly(
                        "0000:00:02.0 to 0000:00:02.6",
                        "0000:02:00.0 to 0000:02:1f.7",
                        "\\_SB.DMA0 at device id 0xabcde");
        assertThat(unit.fields()).containsEntry("capabilities.Sv57", 1L).containsEntry("capabilities.PAS", 56L);
        assertThat(unit.abilities().blocksNoSnoop()).isEqualTo(Answer.NO);
        assertThat(unit.abilities().firstStage()).isEqualTo(Answer.YES);
        assertThat(unit.abilities().secondStage()).isEqualTo(Answer.NO);
        assertThat(unit.abilities().addressWidth()).isEqualTo(57);
    }

    @Test
    void aUnitOnPciHasItsRegistersBehindItsFirstBar() {
        UnitDescription unit = describe(Hosts.pciUnit()).units().get(0);
        assertThat(unit.id()).isEqualTo("riscv-iommu@0000:00:03.0");
        assertThat(unit.registerBase()).hasValue(Hosts.BASE);
        Machine machine = machine(Hosts.pciUnit());
        Iommu iommu = vendor.open(machine.vendorContext(LinuxRelease.NEWEST));
        assertThat(iommu.units()).containsExactly("riscv-iommu@0000:00:03.0");
        iommu.close();
    }

    @Test
    void aFunctionThatTheDriverDoesNotKnowIsNoUnit() {
        MachineDescription known = Hosts.pciUnit();
        MachineDescription other = known.withFunctions(known.functions().stream()
                .map(function -> function.address().equals(new PciAddress(0, 0, 3, 0)) ? withId(function) : function)
                .toList());
        HostDescription host = describe(other);
        assertThat(host.warnings()).singleElement().asString().contains("is not used");
        assertThat(device(host, BuiltInTopology.GPU).translated()).isEqualTo(Answer.NO);
        Machine machine = machine(other);
        assertThatThrownBy(() -> vendor.open(machine.vendorContext(LinuxRelease.NEWEST)))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.ENODEV));
    }

    private static FunctionDescription withId(FunctionDescription function) {
        byte[] config = function.config();
        config[2]++;
        return new FunctionDescription(
                function.address(), function.upstreamBridge(), config, function.unit(), function.externalFacing());
    }

    @Test
    void withoutATableTheUnitOfADeviceIsTheOneThatLinuxLinks() {
        Machine machine = machine(Hosts.twoUnits());
        HostFacts facts = new HostFacts(
                signature -> Optional.empty(),
                machine.topology(),
                RegisterValues.UNKNOWN,
                new TreeMap<>(Map.of("riscv-iommu@RSCV0004:00", new ShownUnit(OptionalLong.empty(), Map.of()))),
                Map.of(BuiltInTopology.GPU, "riscv-iommu@RSCV0004:00"));
        HostDescription host = vendor.describe(facts, LinuxRelease.NEWEST);
        assertThat(device(host, BuiltInTopology.GPU).translated()).isEqualTo(Answer.YES);
        DeviceDescription other = device(host, BuiltInTopology.SECOND_GPU);
        assertThat(other.translated()).isEqualTo(Answer.UNKNOWN);
        assertThat(other.candidates()).containsExactly("riscv-iommu@RSCV0004:00");
        assertThat(other.reservedRegions()).isNull();
    }

    /** Linux's errno, with which iommufd's search for a domain ends; "incompatible" would let it go on. */
    @Test
    void aDeviceWhoseUnitLacksTheModeOfADomainIsRefusedWithEnodev() {
        Machine machine = machine(Hosts.twoUnits(0x10 | 1 << 9 | 2L << 28));
        Iommu iommu = vendor.open(machine.vendorContext(LinuxRelease.NEWEST));
        IommuDevice wide = iommu.probe(
                        machine.topology().function(BuiltInTopology.GPU).orElseThrow())
                .orElseThrow();
        IommuDevice narrow = iommu.probe(
                        machine.topology().function(BuiltInTopology.SECOND_GPU).orElseThrow())
                .orElseThrow();
        IommuDomain ofWide = iommu.allocate(DomainType.UNMANAGED, wide);
        IommuDomain ofNarrow = iommu.allocate(DomainType.UNMANAGED, narrow);
        ofNarrow.attach(narrow);
        assertThat(ofWide.format()).isEqualTo("riscv-sv57");
        assertThat(ofNarrow.format()).isEqualTo("riscv-sv39");
        assertThatThrownBy(() -> ofWide.attach(narrow))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.ENODEV));
        ofNarrow.detach(narrow);
        assertThat(ofNarrow.attach(wide).attached()).as("it has Sv39 too").isTrue();
    }

    @Test
    void aReleaseBefore618IsRefused() {
        Machine machine = machine(Hosts.twoUnits());
        assertThatThrownBy(() -> vendor.open(machine.vendorContext(LinuxRelease.of("6.17"))))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
