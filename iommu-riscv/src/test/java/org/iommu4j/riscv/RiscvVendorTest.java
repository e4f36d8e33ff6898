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
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.riscv.dt.TreeBytes;
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
    void aReleaseBefore613IsRefused() {
        Machine machine = machine(Hosts.twoUnitsInTree());
        assertThatThrownBy(() -> vendor.open(machine.vendorContext(LinuxRelease.of("6.12"))))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void before618RimtLeadsToNoUnit() {
        Machine machine = machine(Hosts.twoUnits());
        HostFacts facts = HostFacts.of(machine.firmware(), machine.topology(), KNOWN);
        HostDescription host = vendor.describe(facts, LinuxRelease.of("6.17"));
        assertThat(host.units()).hasSize(2);
        assertThat(host.warnings()).hasSize(2).allMatch(warning -> warning.contains("knows device trees only"));
        assertThat(device(host, BuiltInTopology.GPU).translated()).isEqualTo(Answer.NO);
        assertThatThrownBy(() -> vendor.open(machine.vendorContext(LinuxRelease.of("6.17"))))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.ENODEV));
    }

    // --- device trees ---

    @Test
    void aDeviceTreeHasTheSameUnitsAndDevicesAsRimt() {
        HostDescription host = describe(Hosts.twoUnitsInTree());
        assertThat(host.warnings()).isEmpty();
        assertThat(host.units())
                .extracting(UnitDescription::id)
                .containsExactly("riscv-iommu@3010000.iommu", "riscv-iommu@3020000.iommu");
        assertThat(host.units().get(1).scope())
                .extracting(Object::toString)
                .containsExactly(
                        "0000:00:02.0 to 0000:00:02.7",
                        "0000:02:00.0 to 0000:02:1f.7",
                        "10000000.dma at device id 0xabcde");
        assertThat(device(host, BuiltInTopology.GPU).unit()).isEqualTo("riscv-iommu@3010000.iommu");
        assertThat(device(host, BuiltInTopology.SECOND_GPU).unit()).isEqualTo("riscv-iommu@3020000.iommu");
        Machine machine = machine(Hosts.twoUnitsInTree());
        Iommu iommu = vendor.open(machine.vendorContext(LinuxRelease.of("6.13")));
        assertThat(iommu.probe(Hosts.TREE_DMA)).isPresent();
        assertThat(iommu.probe(Hosts.DMA)).isEmpty();
    }

    @Test
    void aFunctionInATreeIsAUnitAndNotBehindItself() {
        HostDescription host = describe(Hosts.pciUnitInTree());
        UnitDescription unit = host.units().get(0);
        assertThat(unit.id()).isEqualTo("riscv-iommu@0000:00:03.0");
        assertThat(unit.registerBase()).hasValue(Hosts.BASE);
        assertThat(device(host, new PciAddress(0, 0, 3, 0)).translated()).isEqualTo(Answer.NO);
        assertThat(device(host, BuiltInTopology.GPU).unit()).isEqualTo("riscv-iommu@0000:00:03.0");
        Iommu iommu = vendor.open(machine(Hosts.pciUnitInTree()).vendorContext(LinuxRelease.of("6.13")));
        assertThat(iommu.units()).containsExactly("riscv-iommu@0000:00:03.0");
    }

    /** A kernel that is started by UEFI has a tree with {@code /chosen} alone beside ACPI's tables. */
    @Test
    void aTreeWithMoreThanChosenTakesPrecedenceOverRimt() {
        byte[] stub = new TreeBytes().begin("chosen").end().tree();
        assertThat(describe(Hosts.twoUnits().withDeviceTree(Optional.of(stub))).units())
                .extracting(UnitDescription::id)
                .containsExactly(Hosts.UNIT, Hosts.SECOND_UNIT);
        MachineDescription both =
                Hosts.twoUnitsInTree().withAcpiTables(Hosts.twoUnits().acpiTables());
        assertThat(describe(both).units())
                .extracting(UnitDescription::id)
                .containsExactly("riscv-iommu@3010000.iommu", "riscv-iommu@3020000.iommu");
    }

    @Test
    void aTreeOfAnotherMachineIsNotClaimed() {
        byte[] other = new TreeBytes()
                .begin("iommu@1000")
                .text("compatible", "arm,smmu-v3")
                .end()
                .tree();
        FirmwareTables firmware = new FirmwareBytes(Map.of(), Optional.of(other));
        assertThat(vendor.claims(firmware)).isFalse();
        HostFacts facts = HostFacts.of(firmware, List::of, RegisterValues.UNKNOWN);
        assertThatThrownBy(() -> vendor.describe(facts, LinuxRelease.NEWEST))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("nothing of this host");
        byte[] damaged = Hosts.twoUnitsInTree().deviceTree().orElseThrow();
        damaged[7]--;
        assertThat(vendor.claims(new FirmwareBytes(Map.of(), Optional.of(damaged))))
                .as("damaged, but it names a unit")
                .isTrue();
    }

    @Test
    void unitsThatCantBeUsedAreSaid() {
        TreeBytes tree = new TreeBytes().words("#address-cells", 2).words("#size-cells", 2);
        // Its bus has no ranges.
        tree.begin("soc").text("compatible", "simple-bus");
        Hosts.unit(tree, Hosts.BASE, 1, true).words("phandle", 3).end().end();
        tree.begin("pci@30000000")
                .text("compatible", "pci-host-ecam-generic")
                .text("device_type", "pci")
                .words("iommu-map", 0, 3, 0, 0x100, 0x100, 77, 0, 0x1000)
                .end();
        MachineDescription machine = Hosts.twoUnitsInTree().withDeviceTree(Optional.of(tree.tree()));
        HostDescription host = describe(machine);
        assertThat(host.warnings())
                .satisfiesExactly(
                        phandle -> assertThat(phandle).contains("the phandle 0x4d, which no node has"),
                        unit -> assertThat(unit)
                                .contains("riscv-iommu@soc:iommu@3010000 is not used", "no physical address"));
        assertThat(device(host, BuiltInTopology.GPU_PORT).translated()).isEqualTo(Answer.NO);
        assertThat(device(host, BuiltInTopology.GPU).translated()).isEqualTo(Answer.NO);
    }
}
