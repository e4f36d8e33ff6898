// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.Machines;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Linux's holes of iommufd, each in the releases that have it, with what a device really reaches. */
class IommufdHolesTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long MEMORY = IommufdBench.MEMORY;
    private static final long IOVA = 0x40000000L;
    private static final int ALL = IoasMap.FIXED_IOVA | IoasMap.WRITEABLE | IoasMap.READABLE;

    /** ECAP.SC. */
    private static final long SNOOP_CONTROL = 1L << 7;

    /** ECAP: SMTS, SMPWC, FLTS. */
    static final long FIRST_STAGE = 1L << 43 | 1L << 48 | 1L << 47;

    /** CAP.SLLPS: 2 MiB and 1 GiB. */
    private static final long LARGE_PAGES = 3L << 34;

    /** Two units, of the first device and of the second. */
    private static MachineDescription mixed(LongUnaryOperator first, LongUnaryOperator second, String register) {
        MachineDescription machine = MachineFactory.load().named("intel-mixed");
        machine = Machines.withRegister(machine, "dmar1", register, first);
        return Machines.withRegister(machine, "dmar0", register, second);
    }

    /** The first device's unit has snoop control, the second's has not. */
    static MachineDescription snoopControlOfTheFirst(long more) {
        return mixed(ecap -> ecap | SNOOP_CONTROL | more, ecap -> (ecap & ~SNOOP_CONTROL) | more, "ECAP");
    }

    /** Files of both devices, bound to an iommufd with an IOAS in which one page is mapped. */
    private static final class Bound {
        final IommufdBench bench;
        final Iommufd iommufd;
        final VfioDeviceFile first;
        final VfioDeviceFile second;
        final int firstId;
        final int secondId;
        final int ioas;

        Bound(IommufdBench bench) {
            this.bench = bench;
            iommufd = bench.open();
            first = bench.file(bench.first);
            second = bench.file(bench.second);
            firstId = first.bind(iommufd);
            secondId = second.bind(iommufd);
            ioas = iommufd.ioasAlloc(0);
        }

        void map() {
            iommufd.ioasMap(new IoasMap(ALL, ioas, MEMORY, PAGE, IOVA));
        }
    }

    /**
     * H2: who can be enforced joins the HWPT of one that can't. When that one's file leaves KVM, KVM believes the
     * other, the guest's WBINVD does nothing, and a no-snoop read is stale.
     */
    @ParameterizedTest
    @CsvSource({"6.6, false", "6.7, true", "6.12, true", "7.3, true"})
    void aDeviceOnAnothersHwptReadsStaleMemory(String release, boolean stale) {
        IommufdBench bench = new IommufdBench(MachineFactory.load().create(snoopControlOfTheFirst(0)), release, 4);
        Bound bound = new Bound(bench);
        KvmOptions options = KvmOptions.DEFAULT.withRelease(LinuxRelease.of(release));
        VirtualMachine vm = new VirtualMachine(bench.process, bench.machine.processors(), options);
        vm.addMemory(0, 0, PAGE, MEMORY);
        KvmVfioDevice kvm = vm.createVfioDevice();
        Vcpu vcpu = vm.createVcpu(bench.machine.processors().get(0));
        int made = bound.second.attach(bound.ioas);
        kvm.addFile(bound.second);
        int joined = bound.first.attach(bound.ioas);
        kvm.addFile(bound.first);
        bound.map();
        assertThat(joined == made).isEqualTo(stale);
        assertThat(bound.iommufd.hwpt(joined).enforced()).isEqualTo(!stale);
        assertThat(vm.noncoherentDma()).isTrue();

        kvm.deleteFile(bound.second);
        bound.second.detach();

        assertThat(vm.noncoherentDma()).isFalse();
        vcpu.loadOn(vcpu.processor());
        vcpu.store(0, 0x1234);
        vcpu.wbinvd();
        Endpoint gpu = bench.machine.endpoint(IommufdBench.FIRST);
        gpu.config().write(4, 2, 6);
        long read = gpu.read(IOVA, true);
        assertThat(read == 0x1234).as("%s reads 0x%x", release, read).isEqualTo(!stale);
        bound.iommufd.vfioIoasSet(bound.ioas);
        assertThat(bound.iommufd.vfioContainer().checkExtension(4)).isEqualTo(stale ? 0 : 1);
        vm.close();
    }

    /** H4: a first-stage HWPT that promised takes a device whose unit can't; its PASID entry has a reserved bit set. */
    @ParameterizedTest
    @CsvSource({"6.13, false", "6.18, false", "6.19, true", "7.3, true"})
    void aFirstStageTakesADeviceThatItsUnitThenRefuses(String release, boolean faults) {
        Bound bound = new Bound(new IommufdBench(snoopControlOfTheFirst(FIRST_STAGE), release, 4));
        int made = bound.first.attach(bound.ioas);
        int joined = bound.second.attach(bound.ioas);
        bound.map();
        assertThat(bound.iommufd.hwpt(made).domain().format()).isEqualTo("vtd-first-stage");
        assertThat(joined == made).isEqualTo(faults);
        assertThat(bound.bench.read(IommufdBench.FIRST, IOVA)).isEqualTo(MEMORY);
        bound.bench.iommu.takeFaults();

        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(faults ? -1 : MEMORY);

        if (faults) {
            assertThat(bound.bench.iommu.takeFaults().get(0).toString()).contains("reserved");
        }
        bound.iommufd.vfioIoasSet(bound.ioas);
        assertThat(bound.iommufd.vfioContainer().checkExtension(4)).isEqualTo(faults ? 1 : 0);
    }

    /** H7: a unit that does not snoop its walks joins a HWPT whose tables were not written back. */
    @ParameterizedTest
    @CsvSource({"6.12, true", "6.13, false", "7.3, false"})
    void aUnitThatDoesNotSnoopItsWalksJoinsLate(String release, boolean joins) {
        MachineDescription machine =
                mixed(ecap -> (ecap | 1) & ~SNOOP_CONTROL, ecap -> ecap & ~(SNOOP_CONTROL | 1), "ECAP");
        Bound bound = new Bound(new IommufdBench(MachineFactory.load().create(machine), release, 4));
        int made = bound.first.attach(bound.ioas);
        bound.map();
        assertThat(bound.bench.read(IommufdBench.FIRST, IOVA)).isEqualTo(MEMORY);

        int joined = bound.second.attach(bound.ioas);

        assertThat(joined == made).isEqualTo(joins);
        // Its unit walks memory, in which the entries are not yet.
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(joins ? -1 : MEMORY);
    }

    /** H8: pages of a size that the device's own unit does not know. */
    @ParameterizedTest
    @CsvSource({"6.7, true", "6.12, true", "6.13, false"})
    void largePagesOfAnotherUnitFault(String release, boolean joins) {
        MachineDescription machine = mixed(cap -> cap | LARGE_PAGES, cap -> cap & ~LARGE_PAGES, "CAP");
        machine = Machines.withRegister(machine, "dmar1", "ECAP", ecap -> ecap & ~SNOOP_CONTROL);
        machine = Machines.withRegister(machine, "dmar0", "ECAP", ecap -> ecap & ~SNOOP_CONTROL);
        Bound bound = new Bound(new IommufdBench(machine, release, 2048));
        int hwpt = bound.iommufd.hwptAlloc(new HwptAlloc(0, bound.firstId, bound.ioas));
        long large = 2L << 20;
        bound.iommufd.ioasMap(new IoasMap(ALL, bound.ioas, MEMORY, large, IOVA));
        if (!joins) {
            assertRefused(Errno.EINVAL, () -> bound.second.attach(hwpt));
            return;
        }
        bound.second.attach(hwpt);
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(-1);
        // What is mapped afterwards has pages that both units know.
        bound.iommufd.ioasMap(new IoasMap(ALL, bound.ioas, MEMORY, large, IOVA + large));
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA + large)).isEqualTo(MEMORY);
        bound.first.attach(hwpt);
        assertThat(bound.bench.read(IommufdBench.FIRST, IOVA)).isEqualTo(MEMORY);
        assertThat(bound.iommufd.ioasUnmap(bound.ioas, IOVA, 2 * large)).isEqualTo(2 * large);
        assertThat(bound.bench.read(IommufdBench.FIRST, IOVA)).isEqualTo(-1);
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA + large)).isEqualTo(-1);
    }

    /** H9: a replace that is refused leaves the device blocked, although everybody has it attached. */
    @ParameterizedTest
    @CsvSource({"6.12, false", "6.18, false", "6.19, true", "7.3, true"})
    void aRefusedReplaceBlocks(String release, boolean blocked) {
        Bound bound = new Bound(new IommufdBench(snoopControlOfTheFirst(0), release, 4));
        bound.map();
        int promised = bound.iommufd.hwptAlloc(new HwptAlloc(0, bound.firstId, bound.ioas));
        int own = bound.second.attach(bound.ioas);
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(MEMORY);

        assertRefused(Errno.EINVAL, () -> bound.second.attach(promised));

        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(blocked ? -1 : MEMORY);
        // Attaching it where it is believed to be changes nothing; detaching and attaching heals.
        assertThat(bound.second.attach(own)).isEqualTo(own);
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(blocked ? -1 : MEMORY);
        bound.second.detach();
        bound.second.attach(bound.ioas);
        assertThat(bound.bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(MEMORY);
    }

    /** A group whose file says what its device can do, whatever the HWPT does. */
    @ParameterizedTest
    @ValueSource(strings = {"6.6", "7.3"})
    void aDeviceFileAnswersForTheDeviceAlone(String release) {
        Bound bound = new Bound(new IommufdBench(snoopControlOfTheFirst(0), release, 4));
        bound.second.attach(bound.ioas);
        bound.first.attach(bound.ioas);
        assertThat(bound.first.enforcedCoherent()).isTrue();
        assertThat(bound.second.enforcedCoherent()).isFalse();
    }

    /** Until 6.6 a HWPT that is upgraded late keeps pages that let no-snoop through: story S1. */
    @Test
    void anUpgradeComesTooLateForPagesThatAreMapped() {
        IommufdBench bench = new IommufdBench(MachineFactory.load().create(snoopControlOfTheFirst(0)), "6.6", 4);
        Bound bound = new Bound(bench);
        int hwpt = bound.iommufd.hwptAlloc(new HwptAlloc(0, bound.secondId, bound.ioas));
        bound.second.attach(hwpt);
        bound.map();
        bound.second.detach();
        bound.first.attach(hwpt);
        assertThat(bound.iommufd.hwpt(hwpt).enforced()).isTrue();
        bound.iommufd.ioasMap(new IoasMap(ALL, bound.ioas, MEMORY, PAGE, IOVA + PAGE));
        bench.machine.processors().get(0).store(bench.process.translate(MEMORY), 0x1234, MemoryType.WB);
        Endpoint gpu = bench.machine.endpoint(IommufdBench.FIRST);
        gpu.config().write(4, 2, 6);
        assertThat(gpu.read(IOVA, true)).isNotEqualTo(0x1234);
        assertThat(gpu.read(IOVA + PAGE, true)).isEqualTo(0x1234);
    }

    private static void assertRefused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }
}
