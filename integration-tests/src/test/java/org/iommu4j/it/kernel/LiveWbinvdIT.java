// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * An emulated WBINVD reaches the CPUs that it reaches on a live kernel, for the same choices of the scheduler: a guest
 * of the kernel runs under SVM, and its vCPU is moved, preempted or left alone ({@code src/test/agent/wbinvd.c}).
 */
class LiveWbinvdIT {
    private static final int CPUS = 3;
    private static final PciAddress FUNCTION = LiveKernel.FUNCTIONS.get(0);

    static Stream<Path> kernels() {
        return LiveKernel.folders();
    }

    @ParameterizedTest(name = "kernel {0}")
    @MethodSource("kernels")
    void masksAndCpusAreTheKernels(Path folder) {
        long began = System.nanoTime();
        try (LiveKernel kernel = LiveKernel.boot(folder, LiveMachine.INTEL_WITHOUT_SNOOP_CONTROL, CPUS)) {
            List<List<TranscriptLine>> tests = WbinvdTrace.tests(numbered(kernel.wbinvd()));
            List<TranscriptLine> theirs = new ArrayList<>();
            List<String> ours = new ArrayList<>();
            int secondWindows = 0;
            try (Host host = new Host(kernel)) {
                for (List<TranscriptLine> each : tests) {
                    List<TranscriptLine> test = new ArrayList<>(each);
                    WbinvdTrace.summary(each).forEach(line -> test.add(new TranscriptLine(each.size(), line)));
                    theirs.addAll(test);
                    secondWindows += host.replay(test, ours);
                }
            }
            Comparison comparison = Comparison.of(WbinvdTrace.normalized(theirs), ours, KvmProgram.OUTSIDE);
            System.out.printf(
                    "WBINVD beside Linux %s in %s: %d tests, %s; loads between the steps of a WBINVD: %d; %.0f s%n",
                    kernel.release(),
                    kernel.qemu(),
                    tests.size(),
                    comparison,
                    secondWindows,
                    (System.nanoTime() - began) / 1e9);
            theirs.stream()
                    .map(TranscriptLine::text)
                    .filter(text -> text.startsWith("SEEN"))
                    .forEach(System.out::println);
            assertThat(comparison.differences()).isEmpty();
            // As in the transcripts: a load between the two steps of a WBINVD is the exception.
            assertThat(secondWindows).isLessThanOrEqualTo(1);
            assertThat(theirs).anySatisfy(LiveWbinvdIT::missesTheFirstCpu);
            assertThat(theirs)
                    .noneMatch(line -> line.text().contains("no emulated WBINVD")
                            || line.text().contains("no host WBINVD"));
            assertRegistrationsWriteNothingBack(tests);
            assertThat(kernel.complaints()).isEmpty();
        }
    }

    /** The first device comes when the guest has stored already: KVM registers it, and no CPU executes WBINVD. */
    private static void assertRegistrationsWriteNothingBack(List<List<TranscriptLine>> tests) {
        List<List<TranscriptLine>> late =
                tests.stream().filter(WbinvdTrace::registersLate).toList();
        System.out.println("Registered behind a guest's store: " + late.size() + " times; written back by that: "
                + late.stream()
                        .flatMap(test -> WbinvdTrace.writtenBackUnasked(test).stream())
                        .toList());
        assertThat(late)
                .hasSize(4)
                .allSatisfy(
                        test -> assertThat(WbinvdTrace.writtenBackUnasked(test)).isEmpty());
    }

    /** The hole that the tests are about: a store lies in the cache of CPU 0, which the second WBINVD leaves out. */
    private static void missesTheFirstCpu(TranscriptLine line) {
        assertThat(line.text()).matches("SEEN T4.*: WBINVD #2 .*, mask=0x2, ran on \\{1\\}");
    }

    private static List<TranscriptLine> numbered(List<String> printed) {
        List<TranscriptLine> lines = new ArrayList<>();
        for (String text : printed) {
            lines.add(new TranscriptLine(lines.size() + 1, text));
        }
        return lines;
    }

    /** Our side: the machine of the guest's capture, its function in a container. */
    private static final class Host implements AutoCloseable {
        private final KvmOptions options;
        private final Machine machine;
        private final UserProcess process;
        private final VfioContainer container;
        private final VfioGroup group;

        Host(LiveKernel kernel) {
            options = KvmOptions.DEFAULT.withRelease(kernel.release());
            machine = MachineFactory.load()
                    .createFlat(kernel.description()
                            .withProcessors(ProcessorDescription.x86(
                                    CPUS, HardwareVirtualization.SVM, CacheGeometry.ORDINARY)));
            IommuCore core = IommuCore.open(
                    IommuVendors.load().open(machine.vendorContext(kernel.release())),
                    machine.topology(),
                    DefaultDomainPolicy.DMA);
            Vfio vfio = new Vfio(core, VfioOptions.DEFAULT.withRelease(kernel.release()));
            process = machine.newProcess(Long.MAX_VALUE, true);
            container = vfio.openContainer(process);
            group = vfio.openGroup(vfio.register(FUNCTION).groupId());
            group.setContainer(container);
            container.setIommu(3);
        }

        /** Does a test and adds our lines; returns how often a load between the steps of a WBINVD explains a mask. */
        int replay(List<TranscriptLine> test, List<String> lines) {
            List<Integer> ran = new ArrayList<>();
            List<Processor> processors = new ArrayList<>();
            machine.processors().forEach(each -> processors.add(new WatchedProcessor(each, ran::add)));
            VirtualMachine vm = new VirtualMachine(process, processors, options);
            KvmVfioDevice kvmVfio = vm.createVfioDevice();
            WbinvdTrace trace = new WbinvdTrace(test, vm, processors, ran);
            trace.replay(
                    () -> {
                        kvmVfio.addFile(group);
                        return "0 0";
                    },
                    () -> {
                        throw new AssertionError("no test deletes the group");
                    });
            lines.addAll(trace.lines());
            kvmVfio.close();
            vm.close();
            return trace.secondWindows();
        }

        @Override
        public void close() {
            group.close();
            container.close();
        }
    }
}
