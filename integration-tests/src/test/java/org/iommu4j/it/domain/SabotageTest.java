// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.domain.Bench.Wrapping;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.it.sabotage.RewiredVendor;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.workbench.cases.GuestNoSnoop;
import org.iommu4j.workbench.cases.MixedContainer;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;
import org.iommu4j.workbench.scenario.Wbinvd;
import org.iommu4j.workbench.scenario.Wiring;
import org.junit.jupiter.api.Test;

/**
 * One thing is broken at a time, from outside; a named case or a promise of the contract must notice, and does not
 * without.
 */
class SabotageTest {
    private static final MachineFactory MACHINES = MachineFactory.load();

    private static Outcome run(Case story, String machine, UnaryOperator<VendorContext> ports) {
        return new CaseRunner(MACHINES, RewiredVendor.all(ports, iommu -> iommu))
                .run(story, MACHINES.named(machine), LinuxRelease.NEWEST);
    }

    private static Outcome run(Case story, String machine, Wiring wiring) {
        return new CaseRunner(MACHINES, IommuVendors.load(), wiring)
                .run(story, MACHINES.named(machine), LinuxRelease.NEWEST);
    }

    /** Asserts that a promise of the contract holds on a whole driver and is broken by a wrapped one. */
    private static void assertNoticed(
            IommuDomainContract contract,
            Configuration configuration,
            Wrapping sabotage,
            Consumer<IommuDomainContract> promise) {
        assertNoticed(contract, configuration, () -> new Bench(configuration, sabotage), promise);
    }

    /** Asserts that a promise of the contract holds on a whole bench and is broken on another. */
    private static void assertNoticed(
            IommuDomainContract contract,
            Configuration configuration,
            Supplier<Bench> sabotaged,
            Consumer<IommuDomainContract> promise) {
        contract.configuration = configuration;
        contract.bench = new Bench(configuration);
        promise.accept(contract);
        contract.bench = sabotaged.get();
        assertThatThrownBy(() -> promise.accept(contract), "sabotage on %s", configuration)
                .isInstanceOf(AssertionError.class);
    }

    private static Configuration intel(String name) {
        return IntelDomainContractTest.configurations().stream()
                .filter(configuration -> configuration.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static Configuration amd() {
        return AmdDomainContractTest.configurations().get(0);
    }

    @Test
    void withoutSabotageTheCasesAreCoherent() {
        for (String machine : List.of("intel-sc", "intel-nosc", "amd")) {
            assertThat(run(new GuestNoSnoop(), machine, context -> context).verdict())
                    .isEqualTo(Verdict.COHERENT);
        }
        Outcome mixed = run(new MixedContainer(), "intel-mixed", context -> context);
        assertThat(mixed.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(mixed.domains()).hasSize(2);
    }

    @Test
    void noSnp() {
        Outcome outcome = run(new GuestNoSnoop(), "intel-sc", ForgetfulMemory::withoutSnp);

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        // Everybody was told that all is well.
        assertThat(outcome.decision().enforceCacheCoherency()).isEqualTo(Enforcement.ENFORCED);
        assertThat(outcome.decision().wbinvd()).isEqualTo(Wbinvd.NOP);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);

        Configuration configuration = intel("SC, coherent walk");
        for (Consumer<IommuDomainContract> promise : List.<Consumer<IommuDomainContract>>of(
                contract -> contract.new CacheCoherency().leavesSayWhatWasAnswered(),
                contract -> contract.new CacheCoherency().noSnoopIsBlockedWhereItWasGrantedAndPassesTheCachesWhereNot(),
                contract -> contract.new CacheCoherency().enforcementBindsADeviceThatIsAttachedLater())) {
            assertNoticed(new IntelDomainContractTest(), configuration, ForgetfulMemory::withoutSnp, promise);
        }
    }

    @Test
    void noFc() {
        Outcome outcome = run(new GuestNoSnoop(), "amd", ForgetfulMemory::withoutFc);

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.decision().enforceCacheCoherency()).isEqualTo(Enforcement.ENFORCED);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);

        for (Consumer<IommuDomainContract> promise : List.<Consumer<IommuDomainContract>>of(
                contract -> contract.new CacheCoherency().leavesSayWhatWasAnswered(),
                contract -> contract.new CacheCoherency().noSnoopIsBlockedWhereItWasGrantedAndPassesTheCachesWhereNot(),
                contract -> contract.new Protection().leafEntriesAreThoseOfLinux())) {
            assertNoticed(new AmdDomainContractTest(), amd(), ForgetfulMemory::withoutFc, promise);
        }
    }

    /**
     * The case {@code missing-table-write-back}: the unit does not snoop, so it reads the entry that DRAM still has.
     */
    @Test
    void noTableWriteBack() {
        Configuration configuration = intel("SC, non-coherent walk");
        ForgetfulMemory[] memory = new ForgetfulMemory[1];
        Bench bench = new Bench(configuration, context -> {
            memory[0] = ForgetfulMemory.over(context.memory());
            return ForgetfulMemory.with(context, memory[0]);
        });
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);
        bench.assertReaches(IOVA, SCRATCH);
        long oldEntry = bench.walk(IOVA).entry();
        long entryAddress = bench.walk(IOVA).entryAddress();

        memory[0].stopWritingBack();
        assertThat(bench.unmap(domain, IOVA, 4096)).isEqualTo(4096);
        bench.map(domain, IOVA, SCRATCH + 4096);
        assertThat(domain.translate(IOVA)).as("what the driver believes").isEqualTo(SCRATCH + 4096);
        bench.machine().trace().start();
        bench.store(SCRATCH, 0x01d);
        bench.store(SCRATCH + 4096, 0x2e3);

        assertThat(bench.endpoint().read(IOVA, false))
                .as("what the device reads")
                .isEqualTo(0x01d);
        assertThat(unitReads(bench.machine().trace(), entryAddress)).containsExactly(oldEntry);
        // The same on a unit that snoops: nothing to notice.
        Bench snooping = new Bench(intel("SC, coherent walk"), ForgetfulMemory::withoutWriteBack);
        IommuDomain other = snooping.attached();
        snooping.map(other, IOVA, SCRATCH);
        snooping.assertReaches(IOVA, SCRATCH);

        assertNoticed(
                new IntelDomainContractTest(),
                configuration,
                ForgetfulMemory::withoutWriteBack,
                contract -> contract.new Mapping().aRunAcrossTablesMapsEveryPageToItsOwnFrame());
    }

    private static List<Long> unitReads(Trace trace, long address) {
        return IntStream.range(0, trace.size())
                .filter(event -> trace.kind(event) == TraceKind.UNIT_READ && trace.address(event) == address)
                .mapToObj(trace::value)
                .toList();
    }

    @Test
    void noIotlbInvalidation() {
        for (Consumer<IommuDomainContract> promise : List.<Consumer<IommuDomainContract>>of(
                contract -> contract.new Unmapping().aTranslationThatHardwareHoldsStandsUntilSyncAndNotAfter(),
                contract -> contract.new Unmapping().remappingElsewhereIsSeen(),
                contract -> contract.new Attaching().twoDevicesShareADomain())) {
            assertNoticed(
                    new IntelDomainContractTest(),
                    intel("SC, coherent walk"),
                    ForgetfulMemory::withoutVtdIotlbInvalidation,
                    promise);
            assertNoticed(new AmdDomainContractTest(), amd(), ForgetfulMemory::withoutAmdPageInvalidation, promise);
        }
        // Where absent entries are remembered, a driver that does not tell of new ones is noticed as well.
        assertNoticed(
                new IntelDomainContractTest(),
                intel("caching mode"),
                ForgetfulMemory::withoutVtdIotlbInvalidation,
                contract -> contract.new Unmapping().aMappingIsSeenThoughTheDeviceWasRefusedThereBefore());
    }

    /** A driver whose unmap gathers all but the last page: the device keeps it. */
    private static final class ShortGather extends Bench {
        private ShortGather(Configuration configuration) {
            super(configuration);
        }

        @Override
        public long unmapNosync(IommuDomain domain, long iova, long size, IotlbGather gather) {
            IotlbGather whole = new IotlbGather();
            long unmapped = super.unmapNosync(domain, iova, size, whole);
            if (unmapped != 0) {
                gather.addRange(whole.start(), whole.end() - 4096);
            }
            for (int i = 0; i < whole.frameCount(); i++) {
                gather.addFrame(whole.frame(i), whole.order(i));
            }
            return unmapped;
        }
    }

    @Test
    void aGatherThatMissesTheLastPage() {
        for (Configuration configuration : List.of(
                intel("SC, coherent walk"),
                intel("two units"),
                intel("SC, coherent walk, device TLBs"),
                intel("register-based invalidation"),
                amd(),
                AmdDomainContractTest.withDirtyTracking())) {
            for (int count : new int[] {2, 3, 5, 9, 17}) {
                assertNoticed(
                        new IntelDomainContractTest(),
                        configuration,
                        () -> new ShortGather(configuration),
                        contract -> contract.new Unmapping().forgetsAll(contract.bench, 4096, count));
            }
        }
        assertNoticed(
                new IntelDomainContractTest(),
                intel("SC, coherent walk"),
                () -> new ShortGather(intel("SC, coherent walk")),
                contract -> contract.new Unmapping().oneUnmapOverTablesAndPageSizesForgetsAllOfIt());
    }

    @Test
    void aWalkThroughAFreedTable() {
        for (Consumer<IommuDomainContract> promise : List.<Consumer<IommuDomainContract>>of(
                contract -> contract.new Unmapping().tablesThatBecomeEmptyAreFreedBySyncAndNotBefore(),
                contract -> contract.new Unmapping().moreEmptyTablesThanAGatherHoldsAreAllFreed(),
                contract -> contract.new Mapping().anEmptyLowerTableIsReplacedByALargeLeafAndFreed())) {
            for (String name : List.of("SC, coherent walk", "SC, non-coherent walk", "two units")) {
                assertNoticed(
                        new IntelDomainContractTest(),
                        intel(name),
                        ForgetfulMemory::withoutVtdTableInvalidation,
                        promise);
            }
            assertNoticed(
                    new IntelScalableDomainContractTest(),
                    IntelScalableDomainContractTest.configurations().get(0),
                    ForgetfulMemory::withoutVtdTableInvalidation,
                    promise);
            assertNoticed(new AmdDomainContractTest(), amd(), ForgetfulMemory::withoutAmdTableInvalidation, promise);
            assertNoticed(
                    new AmdGuestDomainContractTest(),
                    AmdGuestDomainContractTest.configurations().get(0),
                    ForgetfulMemory::withoutAmdTableInvalidation,
                    promise);
        }
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
        public void wbinvd() {
            // the sabotage
        }

        @Override
        public void mfence() {
            cpu.mfence();
        }
    }

    @Test
    void wbinvdIgnored() {
        Outcome outcome = run(new GuestNoSnoop(), "intel-nosc", new Wiring() {
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
        Outcome outcome = run(new GuestNoSnoop(), "intel-nosc", new Wiring() {
            @Override
            public boolean addsToKvm(VfioGroup group) {
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

        assertThatThrownBy(() -> runner.run(new MixedContainer(), MACHINES.named("intel-mixed"), LinuxRelease.NEWEST))
                .isInstanceOf(UnexpectedFaultException.class)
                .hasMessageContaining(BuiltInTopology.SECOND_GPU.toString());
        // The front itself breaks nothing.
        CaseRunner whole = new CaseRunner(
                MACHINES,
                RewiredVendor.all(
                        context -> context,
                        iommu -> RewiredVendor.withoutMappingsFor(iommu, BuiltInTopology.SECOND_GPU_PORT)));
        assertThat(whole.run(new MixedContainer(), MACHINES.named("intel-mixed"), LinuxRelease.NEWEST)
                        .verdict())
                .isEqualTo(Verdict.COHERENT);
    }
}
