// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.UnaryOperator;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.it.sabotage.RewiredVendor;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Wbinvd;
import org.iommu4j.workbench.scenario.Wiring;
import org.junit.jupiter.api.Test;

/**
 * One thing is broken at a time, from outside; a named case must notice, and does not without. What promises of the
 * contract notice is in {@code org.iommu4j.it.tck}.
 */
class SabotageTest {
    private static final MachineFactory MACHINES = MachineFactory.load();
    private static final Case GUEST_NO_SNOOP = Workbench.create().caseNamed("guest-no-snoop");
    private static final Case MIXED_CONTAINER = Workbench.create().caseNamed("mixed-container");

    private static Outcome run(Case story, String machine, UnaryOperator<VendorContext> ports) {
        return new CaseRunner(MACHINES, RewiredVendor.all(ports, iommu -> iommu))
                .run(story, MACHINES.named(machine), LinuxRelease.NEWEST);
    }

    private static Outcome run(Case story, String machine, Wiring wiring) {
        return new CaseRunner(MACHINES, IommuVendors.load(), wiring)
                .run(story, MACHINES.named(machine), LinuxRelease.NEWEST);
    }

    @Test
    void withoutSabotageTheCasesAreCoherent() {
        for (String machine : List.of("intel-sc", "intel-nosc", "amd")) {
            assertThat(run(GUEST_NO_SNOOP, machine, context -> context).verdict())
                    .isEqualTo(Verdict.COHERENT);
        }
        Outcome mixed = run(MIXED_CONTAINER, "intel-mixed", context -> context);
        assertThat(mixed.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(mixed.domains()).hasSize(2);
    }

    @Test
    void noSnp() {
        Outcome outcome = run(GUEST_NO_SNOOP, "intel-sc", ForgetfulMemory::withoutSnp);

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        // Everybody was told that all is well.
        assertThat(outcome.decision().enforceCacheCoherency()).isEqualTo(Enforcement.ENFORCED);
        assertThat(outcome.decision().wbinvd()).isEqualTo(Wbinvd.NOP);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void noFc() {
        Outcome outcome = run(GUEST_NO_SNOOP, "amd", ForgetfulMemory::withoutFc);

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.decision().enforceCacheCoherency()).isEqualTo(Enforcement.ENFORCED);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    /** A CPU on which WBINVD does nothing. */
    private record Careless(Processor cpu) implements Processor {
        @Override
        public int id() {
            return cpu.id();
        }

        @Override
        public HardwareVirtualization virtualization() {
            return cpu.virtualization();
        }

        @Override
        public boolean selfSnoop() {
            return cpu.selfSnoop();
        }

        @Override
        public long load(long physicalAddress, MemoryType type) {
            return cpu.load(physicalAddress, type);
        }

        @Override
        public void store(long physicalAddress, long value, MemoryType type) {
            cpu.store(physicalAddress, value, type);
        }

        @Override
        public void clflush(long physicalAddress) {
            cpu.clflush(physicalAddress);
        }

        @Override
        public void clflushopt(long physicalAddress) {
            cpu.clflushopt(physicalAddress);
        }

        @Override
        public void clwb(long physicalAddress) {
            cpu.clwb(physicalAddress);
        }

        @Override
        public void wbinvd() {
            // the sabotage
        }

        @Override
        public void wbnoinvd() {
            cpu.wbnoinvd();
        }

        @Override
        public void invd() {
            cpu.invd();
        }

        @Override
        public void sfence() {
            cpu.sfence();
        }

        @Override
        public void mfence() {
            cpu.mfence();
        }
    }

    @Test
    void wbinvdIgnored() {
        Outcome outcome = run(GUEST_NO_SNOOP, "intel-nosc", new Wiring() {
            @Override
            public Processor processor(Processor cpu) {
                return new Careless(cpu);
            }
        });

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.decision().wbinvd()).isEqualTo(Wbinvd.EXECUTED);
        assertThat(outcome.staleReads()).hasSize(2);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void kvmNotTold() {
        Outcome outcome = run(GUEST_NO_SNOOP, "intel-nosc", new Wiring() {
            @Override
            public boolean addsToKvm(VfioFile file) {
                return false;
            }
        });

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.decision().enforceCacheCoherency()).isEqualTo(Enforcement.REFUSED);
        assertThat(outcome.decision().kvmNoncoherentDma()).isFalse();
        assertThat(outcome.decision().wbinvd()).isEqualTo(Wbinvd.NOP);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void noReplayIntoTheSecondDomain() {
        CaseRunner runner = new CaseRunner(
                MACHINES,
                RewiredVendor.all(
                        context -> context,
                        iommu -> RewiredVendor.withoutMappingsFor(iommu, BuiltInTopology.SECOND_GPU)));

        Outcome outcome = runner.run(MIXED_CONTAINER, MACHINES.named("intel-mixed"), LinuxRelease.NEWEST);
        assertThat(outcome.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(outcome.refusal()).contains(BuiltInTopology.SECOND_GPU.toString());
        assertThat(outcome.unexpected()).contains("COHERENT");
        // The front itself breaks nothing.
        CaseRunner whole = new CaseRunner(
                MACHINES,
                RewiredVendor.all(
                        context -> context,
                        iommu -> RewiredVendor.withoutMappingsFor(iommu, BuiltInTopology.SECOND_GPU_PORT)));
        assertThat(whole.run(MIXED_CONTAINER, MACHINES.named("intel-mixed"), LinuxRelease.NEWEST)
                        .verdict())
                .isEqualTo(Verdict.COHERENT);
    }
}
