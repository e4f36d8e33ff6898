// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.mockito.Mockito.mock;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What KVM did differently from release to release. */
class KvmReleaseTest {
    private static final VfioFile NOT_COHERENT = () -> false;
    private static final long TOUCHED = 0x1000;
    private static final long UNTOUCHED = 0x2000;

    private final VmmMemory memory =
            new VmmMemory().place(0x7000, 0x1_0000).place(0x8000, 0x2_0000).place(0x9000, 0x3_0000);

    private VirtualMachine machine(String release, HardwareVirtualization virtualization, KvmOptions options) {
        List<Processor> cpus = Processors.of(virtualization, 2);
        VirtualMachine machine = new VirtualMachine(memory, cpus, options.withRelease(LinuxRelease.of(release)));
        machine.addMemory(0, 0, 0x3000, 0x7000);
        return machine;
    }

    private VirtualMachine machine(String release) {
        return machine(release, HardwareVirtualization.VMX, KvmOptions.DEFAULT);
    }

    private static Vcpu vcpu(VirtualMachine machine) {
        return machine.createVcpu(machine.processor(0));
    }

    @ParameterizedTest
    @CsvSource({
        "VMX, 6.1, false, false, WB+IPAT, false",
        "VMX, 6.1, true, true, WB, true",
        "VMX, 6.11, true, true, WB, false",
        "VMX, 7.1, false, false, WB+IPAT, false",
        "SVM, 6.1, false, false, GUEST_PAT, false",
        "SVM, 7.1, true, true, GUEST_PAT, false"
    })
    void whatAGuestWillGetIsKnownWithoutAMachine(
            HardwareVirtualization virtualization,
            String release,
            boolean noncoherent,
            boolean wbinvd,
            String type,
            boolean mtrrs) {
        GuestTreatment treatment = GuestTreatment.of(LinuxRelease.named(release), virtualization, noncoherent);
        assertThat(treatment.wbinvdExecuted()).isEqualTo(wbinvd);
        assertThat(treatment.memoryType()).hasToString(type);
        assertThat(treatment.guestMtrrs()).isEqualTo(mtrrs);
    }

    @Test
    void everyKnownReleaseHasRules() {
        for (LinuxRelease release : LinuxRelease.known()) {
            assertThat(machine(release.toString()).guestMemoryType()).isEqualTo(GuestMemoryType.WB_IPAT);
        }
    }

    /** A device comes to a running guest: its old pages went on ignoring that the guest maps them uncacheable. */
    @ParameterizedTest
    @CsvSource({"5.15, WB+IPAT", "6.6, WB+IPAT", "6.7, WB", "6.15, WB", "6.16, WB", "7.1, WB"})
    void aPageTouchedBeforeANoncoherentDeviceCame(String release, String type) {
        VirtualMachine machine = machine(release);
        Vcpu vcpu = vcpu(machine);
        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB_IPAT);

        machine.createVfioDevice().addFile(NOT_COHERENT);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).hasToString(type);
        assertThat(vcpu.memoryTypeOf(UNTOUCHED)).isEqualTo(GuestMemoryType.WB);
    }

    @ParameterizedTest
    @CsvSource({"5.15, WB", "6.6, WB", "6.7, WB+IPAT", "7.1, WB+IPAT"})
    void aPageTouchedBeforeTheNoncoherentDeviceWent(String release, String type) {
        VirtualMachine machine = machine(release);
        Vcpu vcpu = vcpu(machine);
        KvmVfioDevice files = machine.createVfioDevice();
        files.addFile(NOT_COHERENT);
        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB);

        files.deleteFile(NOT_COHERENT);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).hasToString(type);
        assertThat(vcpu.memoryTypeOf(UNTOUCHED)).isEqualTo(GuestMemoryType.WB_IPAT);
    }

    @ParameterizedTest
    @CsvSource({"5.15, true", "7.1, true", "7.2, false"})
    void aFileThatIsNotThereHasTheOthersAskedUntil71(String release, boolean asked) {
        KvmRules rules =
                RuleRecords.of(MethodHandles.lookup(), KvmRules.class, KvmRules.RULES, LinuxRelease.of(release));
        List<Processor> cpus = Processors.of(HardwareVirtualization.VMX, 1);
        KvmVfioDevice files = new VirtualMachine(memory, cpus, KvmOptions.DEFAULT, rules).createVfioDevice();
        boolean[] coherent = {true};
        files.addFile((VfioFile) () -> coherent[0]);
        coherent[0] = false;

        assertThatThrownBy(() -> files.deleteFile(NOT_COHERENT))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT));

        assertThat(files.noncoherent()).isEqualTo(asked);
    }

    @ParameterizedTest
    @CsvSource({"6.5, false", "6.6, true", "7.3, true"})
    void aDevicesFileIsTakenSince66(String release, boolean taken) {
        KvmVfioDevice files = machine(release).createVfioDevice();
        VfioDevice device = mock(VfioDevice.class);

        if (taken) {
            files.addFile(device);
            assertThat(files.noncoherent()).isTrue();
        } else {
            assertThatThrownBy(() -> files.addFile(device))
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
            assertThatThrownBy(() -> files.deleteFile(device))
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT));
        }
    }

    @ParameterizedTest
    @CsvSource({"5.15, false", "6.1, false", "6.1.8, false", "6.1.9, true", "6.2, true", "7.3, true"})
    void aKvmVfioDeviceEndsWithItsFileSince62(String release, boolean atOnce) {
        VirtualMachine machine = machine(release);
        KvmVfioDevice files = machine.createVfioDevice();
        files.addFile((VfioFile) () -> false);

        files.close();

        assertThat(machine.noncoherentDma()).isEqualTo(!atOnce);
        if (atOnce) {
            machine.createVfioDevice().close();
        } else {
            assertThatThrownBy(machine::createVfioDevice)
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));
        }
        machine.close();
        assertThat(machine.noncoherentDma()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"6.1, 1", "6.2, 1"})
    void aKvmVfioDeviceThatOutlivesItsMachineEndsWithItsFile(String release, int registered) {
        VirtualMachine machine = machine(release);
        KvmVfioDevice files = machine.createVfioDevice();
        files.addFile((VfioFile) () -> false);

        machine.close();
        assertThat(machine.noncoherentDmaCount()).isEqualTo(registered);

        files.close();
        assertThat(machine.noncoherentDmaCount()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"6.3, false", "6.4, true", "7.3, true"})
    void aMachineAnswersForDeviceControlSince64(String release, boolean answers) {
        assertThat(machine(release).answersDeviceControl()).isEqualTo(answers);
    }

    @Test
    void aSecondNoncoherentFileChangesNothing() {
        VirtualMachine machine = machine("7.1");
        Vcpu vcpu = vcpu(machine);
        KvmVfioDevice files = machine.createVfioDevice();
        files.addFile(NOT_COHERENT);
        VfioFile second = () -> false;
        files.addFile(second);
        files.deleteFile(NOT_COHERENT);

        assertThat(machine.noncoherentDmaCount()).isEqualTo(1);
        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB);
    }

    /** What hid the fault of not dropping entries: many devices come with a memory slot that goes. */
    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.6"})
    void aSlotThatGoesTakesAllEntriesWithIt(String release) {
        VirtualMachine machine = machine(release);
        machine.addMemory(1, 0x10000, 0x1000, 0x7000);
        Vcpu vcpu = vcpu(machine);
        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB_IPAT);
        machine.createVfioDevice().addFile(NOT_COHERENT);

        machine.removeMemory(1);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB);
    }

    @ParameterizedTest
    @CsvSource({
        "5.15, WB+IPAT",
        "6.12, WB+IPAT",
        "6.12.77, WB+IPAT",
        "6.12.78, WB",
        "6.15, WB+IPAT",
        "6.16, WB",
        "7.1, WB"
    })
    void theQuirkAboutTheGuestsPatCameWith616(String release, String type) {
        VirtualMachine machine =
                machine(release, HardwareVirtualization.VMX, KvmOptions.DEFAULT.withIgnoreGuestPat(false));
        assertThat(machine.guestMemoryType()).hasToString(type);
    }

    /** Self-snoop was to make the guest's PAT hold always in 6.11; it was taken back before the release. */
    @ParameterizedTest
    @ValueSource(strings = {"6.10", "6.11", "6.12", "6.15"})
    void withCoherentDmaTheGuestsPatIsIgnoredAroundTheReleaseThatTriedOtherwise(String release) {
        assertThat(machine(release).guestMemoryType()).isEqualTo(GuestMemoryType.WB_IPAT);
    }

    @ParameterizedTest
    @CsvSource({
        "5.15, true,  WB+IPAT", "6.6,  true,  WB+IPAT", "6.7,  true,  WB", "6.10, true,  WB", "6.11, true,  WB",
        "5.15, false, UC+IPAT", "6.6,  false, UC+IPAT", "6.10, false, UC+IPAT", "6.11, false, WB", "7.1,  false, WB"
    })
    void aVcpuWithCachingOffAndNoncoherentDma(String release, boolean quirk, String type) {
        VirtualMachine machine =
                machine(release, HardwareVirtualization.VMX, KvmOptions.DEFAULT.withCacheDisableIgnored(quirk));
        machine.createVfioDevice().addFile(NOT_COHERENT);
        Vcpu vcpu = vcpu(machine);
        vcpu.setCachingOff(true);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).hasToString(type);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.10", "7.1"})
    void withCoherentDmaCachingOffIsIgnored(String release) {
        VirtualMachine machine =
                machine(release, HardwareVirtualization.VMX, KvmOptions.DEFAULT.withCacheDisableIgnored(false));
        Vcpu vcpu = vcpu(machine);
        vcpu.setCachingOff(true);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB_IPAT);
    }

    /** With the quirk on, what was entered while caching was off stays until something else drops it. */
    @ParameterizedTest
    @CsvSource({"true, WB+IPAT", "false, WB"})
    void turningCachingOnDropsEntriesWhereItMatters(boolean quirk, String type) {
        VirtualMachine machine =
                machine("6.6", HardwareVirtualization.VMX, KvmOptions.DEFAULT.withCacheDisableIgnored(quirk));
        machine.createVfioDevice().addFile(NOT_COHERENT);
        Vcpu vcpu = vcpu(machine);
        vcpu.setCachingOff(true);
        vcpu.memoryTypeOf(TOUCHED);

        vcpu.setCachingOff(false);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).hasToString(type);
    }

    @ParameterizedTest
    @CsvSource({"5.15, UC", "6.10, UC", "6.11, WB", "7.1, WB"})
    void theGuestsMtrrsMatterUntil610WhileDmaIsNoncoherent(String release, String type) {
        VirtualMachine machine = machine(release);
        Vcpu vcpu = vcpu(machine);
        machine.setGuestMtrrs(MemoryType.UC);
        assertThat(vcpu.memoryTypeOf(TOUCHED)).as("coherent").isEqualTo(GuestMemoryType.WB_IPAT);

        machine.createVfioDevice().addFile(NOT_COHERENT);
        assertThat(vcpu.memoryTypeOf(UNTOUCHED)).as("not coherent").hasToString(type);

        machine.setGuestMtrrs(MemoryType.WB);
        assertThat(vcpu.memoryTypeOf(UNTOUCHED)).as("changed").isEqualTo(GuestMemoryType.WB);
    }

    @ParameterizedTest
    @CsvSource({"WT", "WP", "WC", "UC", "WB"})
    void anMtrrsTypeIsTheEntrysAsItIs(MemoryType type) {
        VirtualMachine machine = machine("6.6");
        machine.createVfioDevice().addFile(NOT_COHERENT);
        machine.setGuestMtrrs(type);

        assertThat(vcpu(machine).memoryTypeOf(TOUCHED)).hasToString(type.toString());
        assertThat(vcpu(machine).effectiveType(TOUCHED, MemoryType.WB)).isEqualTo(type);
    }

    @Test
    void eachPageHasTheTypeOfItsOwnMtrr() {
        VirtualMachine machine = machine("6.6");
        machine.createVfioDevice().addFile(NOT_COHERENT);
        machine.setGuestMtrrs(
                new GuestMtrrs(MemoryType.WB, List.of(new GuestMtrrs.Range(UNTOUCHED, 4096, MemoryType.WC))));
        Vcpu vcpu = vcpu(machine);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.WB);
        assertThat(vcpu.memoryTypeOf(UNTOUCHED)).isEqualTo(GuestMemoryType.WC);
    }

    /** The quirk is turned off in a running guest: pages keep IPAT, also when a device comes. */
    @ParameterizedTest
    @CsvSource({"6.12.78", "6.16", "7.3"})
    void aQuirkThatIsTurnedOffLateLeavesEntriesThatIgnoreTheGuestsPat(String release) {
        VirtualMachine machine = machine(release);
        Vcpu vcpu = vcpu(machine);
        assertThat(vcpu.effectiveType(TOUCHED, MemoryType.UC)).isEqualTo(MemoryType.WB);

        machine.disableQuirk(KvmQuirk.IGNORE_GUEST_PAT);
        machine.createVfioDevice().addFile(NOT_COHERENT);

        assertThat(vcpu.effectiveType(TOUCHED, MemoryType.UC)).isEqualTo(MemoryType.WB);
        assertThat(vcpu.effectiveType(UNTOUCHED, MemoryType.UC)).isEqualTo(MemoryType.UC);
    }

    @ParameterizedTest
    @CsvSource({"6.12, VMX", "6.15, VMX", "7.3, SVM"})
    void aQuirkThatIsNotThereCannotBeTurnedOff(String release, HardwareVirtualization virtualization) {
        VirtualMachine machine = machine(release, virtualization, KvmOptions.DEFAULT);

        assertThatThrownBy(() -> machine.disableQuirk(KvmQuirk.IGNORE_GUEST_PAT))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
        machine.disableQuirk(KvmQuirk.CD_NW_CLEARED);
    }

    /** Where one CPU lacks self-snoop the quirk stays on: a guest that chose its types could read old lines. */
    @ParameterizedTest
    @CsvSource({"6.12.78", "6.16", "7.3"})
    void withoutSelfSnoopTheQuirkStaysOn(String release) {
        List<Processor> cpus = Processors.of(HardwareVirtualization.VMX, List.of(true, false));
        KvmOptions off =
                KvmOptions.DEFAULT.withRelease(LinuxRelease.of(release)).withIgnoreGuestPat(false);
        VirtualMachine machine = new VirtualMachine(memory, cpus, off);
        machine.addMemory(0, 0, 0x3000, 0x7000);
        Vcpu vcpu = vcpu(machine);

        assertThatThrownBy(() -> machine.disableQuirk(KvmQuirk.IGNORE_GUEST_PAT))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
        assertThat(vcpu.effectiveType(TOUCHED, MemoryType.UC)).isEqualTo(MemoryType.WB);

        machine.createVfioDevice().addFile(NOT_COHERENT);
        assertThat(vcpu.effectiveType(TOUCHED, MemoryType.UC)).isEqualTo(MemoryType.UC);
    }

    @ParameterizedTest
    @CsvSource({"5.15, false, UC", "7.3, false, UC", "7.3, true, WB"})
    void onSvmCachingOffReachesHardwareWithoutTheQuirk(String release, boolean quirk, String type) {
        VirtualMachine machine =
                machine(release, HardwareVirtualization.SVM, KvmOptions.DEFAULT.withCacheDisableIgnored(quirk));
        Vcpu vcpu = vcpu(machine);
        vcpu.setCachingOff(true);
        assertThat(vcpu.effectiveType(TOUCHED, MemoryType.WB)).hasToString(type);

        vcpu.setCachingOff(false);
        assertThat(vcpu.effectiveType(TOUCHED, MemoryType.WB)).isEqualTo(MemoryType.WB);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.7", "7.1"})
    void onSvmNothingOfThisMattersToAnEntry(String release) {
        VirtualMachine machine = machine(
                release,
                HardwareVirtualization.SVM,
                KvmOptions.DEFAULT.withCacheDisableIgnored(false).withIgnoreGuestPat(false));
        machine.setGuestMtrrs(MemoryType.UC);
        machine.createVfioDevice().addFile(NOT_COHERENT);
        Vcpu vcpu = vcpu(machine);
        vcpu.setCachingOff(true);

        assertThat(vcpu.memoryTypeOf(TOUCHED)).isEqualTo(GuestMemoryType.GUEST_PAT);
    }
}
