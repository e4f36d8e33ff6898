// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.InterruptWindow;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.api.Test;

/** A function that asks for pages, in front of a unit that writes down what it is asked. */
class PageRequestInterfaceTest {
    private static final long IOVA = 0x7000_0000L;
    private static final int PASID = 5;
    private static final int CONTROL = 0x124;
    private static final int STATUS = 0x126;
    private static final int ALLOCATION = 0x12c;

    /** PRG Response PASID Required, and Stopped. */
    private static final int STOPPED = 0x8100;

    private static final int RUNNING = 0x8000;

    private final Unit unit = new Unit();
    private final Trace trace = new Trace();
    private final SimulatedFunction function = new SimulatedFunction(new FunctionDescription(
            new PciAddress(0, 1, 0, 0),
            Optional.empty(),
            ConfigSpaceBuilder.endpoint(1, 2, ConfigSpaceBuilder.CLASS_VGA)
                    .ats()
                    .pasid(16)
                    .pri(4)
                    .build(),
            Optional.of("unit"),
            false));
    private final FunctionConfig config = function.config();
    private final Endpoint endpoint = new Endpoint(
            function,
            List.of(),
            unit,
            new RootComplex(new Memory(new FlatMemory(1 << 20)), trace, Optional.of(InterruptWindow.X86)));

    PageRequestInterfaceTest() {
        config.write(0x116, 2, 1); // PASID
        config.write(0x106, 2, 0x8000); // ATS
        endpoint.usePasid(PASID);
    }

    /** A unit that grants nothing, or one page. */
    private static final class Unit implements TranslationUnit {
        final List<String> requests = new ArrayList<>();
        long answer = NOT_TRANSLATED;

        @Override
        public long requestTranslation(int requesterId, int pasid, long address, int flags) {
            return answer;
        }

        @Override
        public void requestPage(int requesterId, int pasid, long address, int flags, int group) {
            requests.add(String.format(
                    "%04x pasid %x: %x %s%s, group %d%s",
                    requesterId,
                    pasid,
                    address,
                    (flags & RequestFlags.READ) != 0 ? "r" : "",
                    (flags & RequestFlags.WRITE) != 0 ? "w" : "",
                    group,
                    (flags & RequestFlags.LAST) != 0 ? ", last" : ""));
        }

        List<String> take() {
            List<String> taken = List.copyOf(requests);
            requests.clear();
            return taken;
        }

        @Override
        public TranslationUnitSpec spec() {
            return new TranslationUnitSpec("none", "unit", 0, 0, 0x1000, Map.of());
        }

        @Override
        public int readRegister32(int offset) {
            return 0;
        }

        @Override
        public long readRegister64(int offset) {
            return 0;
        }

        @Override
        public void writeRegister32(int offset, int value) {}

        @Override
        public void writeRegister64(int offset, long value) {}

        @Override
        public long translate(int requesterId, int pasid, long address, int flags) {
            return Translation.to(address, false);
        }

        @Override
        public boolean step() {
            return false;
        }

        @Override
        public void reset() {}

        @Override
        public void addTo(StateDigest digest) {}
    }

    private record Memory(FlatMemory memory) implements Fabric {
        @Override
        public boolean isMemory(long physicalAddress) {
            return true;
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            return memory.load(physicalAddress);
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            memory.store(physicalAddress, value);
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            throw new AssertionError("nobody writes 32 bits");
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            return memory.compareAndSet(physicalAddress, expected, value);
        }
    }

    private void enable() {
        config.write(ALLOCATION, 4, 4);
        config.write(CONTROL, 2, 1);
    }

    private RequestStatus read(long iova) {
        endpoint.read(iova, false);
        return endpoint.lastStatus();
    }

    private int status() {
        return config.read(STATUS, 2);
    }

    @Test
    void aFunctionBelowAVmdIsNoEndpoint() {
        SimulatedFunction below = new SimulatedFunction(new FunctionDescription(
                PciAddress.parse("10000:e1:00.0"),
                Optional.empty(),
                ConfigSpaceBuilder.endpoint(1, 2, ConfigSpaceBuilder.CLASS_VGA).build(),
                Optional.empty(),
                false));
        RootComplex root = new RootComplex(new Memory(new FlatMemory(1 << 20)), trace, Optional.empty());
        assertThatThrownBy(() -> new Endpoint(below, List.of(), null, root))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("10000:e1:00.0 has no requester id");
    }

    @Test
    void aFunctionAsksForAPageThatItIsNotGrantedAndGoesOnAfterTheAnswer() {
        enable();
        trace.start();
        assertThat(read(IOVA + 0x128)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(unit.take()).containsExactly("0100 pasid 5: 70000000 r, group 0, last");
        assertThat(trace.kind(0)).isEqualTo(TraceKind.PAGE_REQUEST);
        assertThat(trace.iova(0)).isEqualTo(IOVA);
        assertThat(read(IOVA)).as("asked once").isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(unit.take()).isEmpty();
        endpoint.write(IOVA, 1, false);
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(unit.take()).as("another permission").containsExactly("0100 pasid 5: 70000000 w, group 1, last");

        unit.answer = Translation.to(0x3000, false);
        function.takePageResponse(PASID, 0, 0);
        assertThat(endpoint.lastPageResponse()).isZero();
        assertThat(read(IOVA)).isEqualTo(RequestStatus.DONE);
    }

    @Test
    void withTheInterfaceOffARequestIsRefusedAndNothingAsked() {
        assertThat(read(IOVA)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(endpoint.requestPages(true, IOVA)).isFalse();
        enable();
        config.write(4, 2, 0); // Bus Master Enable
        assertThat(endpoint.requestPages(true, IOVA)).isFalse();
        assertThat(unit.take()).isEmpty();
    }

    @Test
    void aRealFaultIsNoReasonToAsk() {
        enable();
        unit.answer = Translation.fault(8);
        assertThat(read(IOVA)).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(endpoint.lastFault()).isEqualTo(8);
        assertThat(unit.take()).isEmpty();
    }

    @Test
    void aGroupIsAskedForTogetherAndTheLastIsMarked() {
        enable();
        assertThat(endpoint.requestPages(true, IOVA + 8, IOVA + 0x1000, IOVA + 0x5fff))
                .isTrue();
        assertThat(unit.take())
                .containsExactly(
                        "0100 pasid 5: 70000000 w, group 0",
                        "0100 pasid 5: 70001000 w, group 0",
                        "0100 pasid 5: 70005000 w, group 0, last");
        endpoint.write(IOVA + 0x1000, 1, false);
        assertThat(unit.take()).as("awaited already").isEmpty();
        assertThatThrownBy(() -> endpoint.requestPages(true)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void noMoreRequestsWaitThanAllocationAndCapacityAllow() {
        enable();
        config.write(ALLOCATION, 4, 3);
        assertThat(endpoint.requestPages(false, IOVA, IOVA + 0x1000)).isTrue();
        assertThat(endpoint.requestPages(false, IOVA + 0x2000, IOVA + 0x3000)).isFalse();
        assertThat(endpoint.requestPages(false, IOVA + 0x2000)).isTrue();
        unit.take();
        assertThat(read(IOVA + 0x4000)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(unit.take()).as("no credit").isEmpty();
        function.takePageResponse(PASID, 1, 0);
        assertThat(read(IOVA + 0x4000)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(unit.take()).containsExactly("0100 pasid 5: 70004000 r, group 2, last");

        config.write(ALLOCATION, 4, 100);
        assertThat(endpoint.requestPages(false, IOVA, IOVA + 0x1000))
                .as("capacity")
                .isFalse();
    }

    @Test
    void anInvalidRequestReleasesTheGroupAndTheFunctionMayAskAgain() {
        enable();
        read(IOVA);
        function.takePageResponse(PASID, 0, 1);
        assertThat(endpoint.lastPageResponse()).isEqualTo(1);
        assertThat(status()).isEqualTo(RUNNING);
        unit.take();
        assertThat(read(IOVA)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(unit.take()).hasSize(1);
    }

    @Test
    void aFailureStopsTheInterfaceUntilItIsEnabledAnew() {
        enable();
        read(IOVA);
        read(IOVA + 0x1000);
        unit.take();
        function.takePageResponse(PASID, 0, 15);
        assertThat(status()).as("Response Failure").isEqualTo(RUNNING | 1);
        function.takePageResponse(PASID, 1, 0);
        assertThat(endpoint.lastPageResponse()).as("ignored").isEqualTo(15);
        read(IOVA);
        assertThat(unit.take()).isEmpty();

        config.write(CONTROL, 2, 0);
        assertThat(status()).isEqualTo(STOPPED | 1);
        config.write(STATUS, 2, 1);
        assertThat(status()).isEqualTo(STOPPED);
        config.write(CONTROL, 2, 1);
        read(IOVA);
        assertThat(unit.take()).hasSize(1);
    }

    @Test
    void aReservedCodeIsAFailure() {
        enable();
        read(IOVA);
        function.takePageResponse(PASID, 0, 7);
        assertThat(status()).isEqualTo(RUNNING | 1);
    }

    @Test
    void aResponseThatFitsNoGroupIsReportedAndChangesNothing() {
        enable();
        read(IOVA);
        function.takePageResponse(PASID, 3, 0);
        assertThat(status()).as("UPRGI").isEqualTo(RUNNING | 2);
        config.write(STATUS, 2, 2);
        function.takePageResponse(TranslationUnit.NO_PASID, 0, 0);
        assertThat(status()).as("a PASID is required").isEqualTo(RUNNING | 2);
        unit.take();
        read(IOVA);
        assertThat(unit.take()).as("still awaited").isEmpty();
    }

    @Test
    void itHasStoppedWhenItIsOffAndNothingWaits() {
        assertThat(status()).isEqualTo(STOPPED);
        enable();
        assertThat(status()).isEqualTo(RUNNING);
        read(IOVA);
        config.write(CONTROL, 2, 0);
        assertThat(status()).as("stopping").isEqualTo(RUNNING);
        function.takePageResponse(PASID, 0, 0);
        assertThat(status()).isEqualTo(STOPPED);
    }

    @Test
    void aResetForgetsWhatWaitsButNotWhileEnabled() {
        enable();
        read(IOVA);
        config.write(CONTROL, 2, 3);
        assertThat(config.read(CONTROL, 2)).as("Reset reads as 0").isEqualTo(1);
        unit.take();
        read(IOVA);
        assertThat(unit.take()).as("still awaited").isEmpty();
        config.write(CONTROL, 2, 0);
        config.write(CONTROL, 1, 2);
        assertThat(status()).isEqualTo(STOPPED);
        config.write(CONTROL, 2, 1);
        read(IOVA);
        assertThat(unit.take()).hasSize(1);
    }

    @Test
    void whatWaitsIsPartOfTheStateUntilPowerOn() {
        function.reset();
        long fresh = digest();
        config.write(0x106, 2, 0x8000); // ATS
        enable();
        long enabled = digest();
        read(IOVA);
        assertThat(digest()).isNotEqualTo(enabled);
        function.reset();
        assertThat(digest()).isEqualTo(fresh);
    }

    private long digest() {
        StateDigest digest = new StateDigest();
        function.addTo(digest);
        return digest.value();
    }
}
