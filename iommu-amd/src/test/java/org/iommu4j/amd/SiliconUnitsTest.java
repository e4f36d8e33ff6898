// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Machines;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Two simulated units under one driver, in one PCI segment, whose device table they share, or in two. */
class SiliconUnitsTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x1234_5000L;
    private static final long EFR = AmdViUnitProvider.EFR_6_LEVEL;

    private Machine machine;
    private AmdIommu iommu;
    private IommuDevice[] devices;
    private Endpoint[] endpoints;
    private long target;
    private boolean runsForEver;

    /**
     * The first device can have an IOTLB; one bit of the second unit's capability says whether that unit allows any.
     */
    private static MachineDescription withIotlbs(boolean second) {
        MachineDescription two = TwoUnits.machine(0);
        return two.withFunctions(two.functions().stream()
                .map(function -> function.address().equals(PciAddress.of(0, 0x100))
                        ? Machines.withConfig(
                                function,
                                ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                                        .ats()
                                        .build())
                        : function.address().equals(PciAddress.of(0, 3)) && !second
                                ? Machines.withConfig(function, withoutIotlbSup(function.config()))
                                : function)
                .toList());
    }

    private static byte[] withoutIotlbSup(byte[] config) {
        ByteBuffer words = ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN);
        words.putInt(0x40, words.getInt(0x40) & ~(1 << 24));
        return config;
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void devicesHaveIotlbsOnlyWhereEveryUnitAllowsThem(boolean second) {
        open(0, withIotlbs(second));
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, devices[0]);
        domain.attach(devices[0]);
        ConfigSpace config = machine.topology()
                .function(endpoints[0].address())
                .orElseThrow()
                .config();
        int ats = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS);
        long deviceTable = machine.unit("ivhd0").readRegister64(0) & 0x000f_ffff_ffff_f000L;
        long word1 = machine.memory(0).load(deviceTable + 0x100 * 32 + 8);

        assertThat(config.read(ats + 6, 2) >>> 15).as("Enable of ATS").isEqualTo(second ? 1 : 0);
        assertThat(word1 >>> 32 & 1).as("I of the entry").isEqualTo(second ? 1 : 0);
        assertThat(iommu.capable(devices[0], IommuCapability.PCI_ATS_SUPPORTED)).isEqualTo(second);
    }

    @ParameterizedTest
    @CsvSource({
        "6.17, 2, 2, 0xffffffffffffffff",
        "6.17, 1, 2, 0x0000ffffffffffff", // 1 & 2 is 0
        "6.17, 2, 1, 0x0000ffffffffffff",
        "6.17, 3, 1, 0x01ffffffffffffff",
        "6.17, 2, 3, 0xffffffffffffffff",
        "7.1, 1, 2, 0x0000ffffffffffff",
        "6.16, 1, 2, 0xffffffffffffffff"
    })
    void hostTablesHaveTheLevelsOfTheBitsThatTheUnitsImagesShareSince617(
            String release, long first, long second, String apertureEnd) {
        long others = EFR & ~(3L << 10);
        open(0, TwoUnits.machine(0, others | first << 10, others | second << 10), LinuxRelease.named(release));
        assertThat(iommu.allocate(DomainType.UNMANAGED, devices[0]).apertureEnd())
                .isEqualTo(Long.parseUnsignedLong(apertureEnd.substring(2), 16));
    }

    @Test
    void aUnitWithoutAnImageLeavesFourLevelsToAll() {
        open(0, TwoUnits.machine(0, EFR, 0));
        assertThat(iommu.allocate(DomainType.UNMANAGED, devices[0]).apertureEnd())
                .isEqualTo(0xffff_ffff_ffffL);
    }

    @Test
    void noDeviceIsTakenWhenNoImageHasHostTables() {
        machine = MachineFactory.load().create(TwoUnits.machine(0, EFR | 3 << 10, EFR | 3 << 10));
        iommu = (AmdIommu) new AmdVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        PciFunction function =
                machine.topology().function(PciAddress.of(0, 1 << 8)).orElseThrow();
        assertThat(iommu.probe(function)).isEmpty();
        iommu.close();
        assertThat(machine.frames().inUse()).isZero();
    }

    private void open(int segment) {
        open(segment, TwoUnits.machine(segment));
    }

    private void open(int segment, MachineDescription description) {
        open(segment, description, LinuxRelease.NEWEST);
    }

    private void open(int segment, MachineDescription description, LinuxRelease release) {
        machine = MachineFactory.load().create(description);
        VendorContext context = machine.vendorContext(release);
        iommu = (AmdIommu) new AmdVendor().open(context.withRegisters(registers(context.registers())));
        devices = new IommuDevice[2];
        endpoints = new Endpoint[2];
        for (int i = 0; i < 2; i++) {
            PciAddress address = PciAddress.of(i * segment, (i + 1) << 8);
            PciFunction function = machine.topology().function(address).orElseThrow();
            function.config().write(4, 2, 6);
            devices[i] = iommu.probe(function).orElseThrow();
            endpoints[i] = machine.endpoint(address);
        }
        target = machine.userFrames().allocate(0);
    }

    /** The second unit's command buffer runs for ever, if it is to. */
    private RegisterSpace registers(RegisterSpace all) {
        return (base, size) -> {
            RegisterWindow window = all.map(base, size);
            return base != TwoUnits.SECOND_BASE
                    ? window
                    : new RegisterWindow() {
                        @Override
                        public int read32(int offset) {
                            return window.read32(offset);
                        }

                        @Override
                        public long read64(int offset) {
                            return window.read64(offset) | (offset == 0x2020 && runsForEver ? 1 << 4 : 0);
                        }

                        @Override
                        public void write32(int offset, int value) {
                            window.write32(offset, value);
                        }

                        @Override
                        public void write64(int offset, long value) {
                            window.write64(offset, value);
                        }
                    };
        };
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void theTableOfTheSegmentIsKeptWhenOneOfItsUnitsDoesNotConfirmThatItIsOff(int segment) {
        open(segment);
        runsForEver = true;
        long table = machine.unit("ivhd1").readRegister64(0) & 0x000f_ffff_ffff_f000L;

        iommu.close();

        // 0x300 entries of 32 bytes in 8 frames, and commands, events and a word in 5.
        assertThat(iommu.quarantinedFrames()).isEqualTo(13);
        assertThat(machine.frames().inUse()).isEqualTo(13);
        assertThat(machine.memory(0).load(table + 0x2ff * 32)).as("blocked").isEqualTo(3);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void aDomainOfDevicesBehindBothUnitsIsForgottenByBoth(int segment) {
        open(segment);
        assertThat(iommu.units()).containsExactly("ivhd0", "ivhd1");
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, devices[0]);
        IotlbGather gather = new IotlbGather();
        for (int i = 0; i < 2; i++) {
            assertThat(domain.attach(devices[i]).attached()).isTrue();
        }
        // Beyond three levels: the table grows, and both units have to follow.
        for (long iova : new long[] {IOVA, 1L << 40, 1L << 60}) {
            domain.map(iova, target, K4, 1, Prot.READ_WRITE);
            domain.syncMap(iova, K4);
            for (Endpoint endpoint : endpoints) {
                assertThat(endpoint.write(iova, 1, false)).as("iova 0x%x", iova).isTrue();
                assertThat(endpoint.write(IOVA, 1, false)).isTrue();
            }
        }
        assertThat(domain.unmap(IOVA, K4, gather)).isEqualTo(K4);
        for (Endpoint endpoint : endpoints) {
            assertThat(endpoint.write(IOVA, 2, false)).as("stale").isTrue();
        }
        domain.sync(gather);
        for (Endpoint endpoint : endpoints) {
            assertThat(endpoint.write(IOVA, 3, false)).isFalse();
        }
        assertThat(iommu.takeFaults())
                .extracting(DmaFault::unit, DmaFault::requester)
                .containsExactly(tuple("ivhd0", devices[0].id()), tuple("ivhd1", devices[1].id()));
        for (IommuDevice device : devices) {
            domain.detach(device);
        }
        domain.close();
        iommu.close();
        assertThat(machine.frames().inUse()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void aUnitThatStoppedHoldsUpItsOwnDevicesAlone(int segment) {
        open(segment);
        IommuDomain[] domains = new IommuDomain[2];
        IotlbGather gather = new IotlbGather();
        for (int i = 0; i < 2; i++) {
            domains[i] = iommu.allocate(DomainType.UNMANAGED, devices[i]);
            domains[i].attach(devices[i]);
            domains[i].map(IOVA, target, K4, 1, Prot.READ_WRITE);
        }
        // Somebody turns the second unit's command buffer off.
        machine.unit("ivhd1").writeRegister64(0x18, machine.unit("ivhd1").readRegister64(0x18) & ~(1L << 12));
        domains[0].unmap(IOVA, K4, gather);
        domains[0].sync(gather);
        assertThat(endpoints[0].write(IOVA, 1, false)).isFalse();
        domains[1].unmap(IOVA, K4, gather);
        assertThatThrownBy(() -> domains[1].sync(gather))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT))
                .hasMessageContaining("ivhd1");
        domains[0].map(IOVA, target, K4, 1, Prot.READ_WRITE);
        assertThat(endpoints[0].write(IOVA, 1, false)).isTrue();
        assertThatThrownBy(() -> domains[0].attach(devices[1]))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
    }
}
