// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The ring of commands, and the two ways to wait for its end. Words and offsets are written by hand. */
class CommandBufferTest {
    private static final int STATUS = 0x2020;
    private static final long COM_WAIT_INT = 4;
    private static final BootOptions BY_INTERRUPT = new BootOptions("iommu4j.amd=completion_interrupt");

    private final TestPlatform platform = new TestPlatform();

    /** Makes a buffer that the unit runs. */
    private CommandBuffer buffer() {
        CommandBuffer buffer = new CommandBuffer(platform.context(), platform.unit);
        buffer.program();
        platform.unit.registers[0x18 / 8] = 1L << 12;
        return buffer;
    }

    private static long devtab(int requesterId) {
        return 0x2000_0000_0000_0000L | requesterId;
    }

    private static List<String> devtabs(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> String.format("devtab %04x", i))
                .toList();
    }

    @Test
    void theUnitIsToldNothingBeforeTheEndAndThenAllAtOnce() {
        CommandBuffer buffer = buffer();
        platform.unit.logged = new ArrayList<>();
        assertThat(buffer.add(devtab(0), 0)).isTrue();
        assertThat(buffer.add(devtab(1), 0)).isTrue();
        assertThat(platform.unit.logged).isEmpty();
        assertThat(buffer.complete()).isTrue();
        assertThat(platform.unit.logged).containsExactly("2008 = 30");
        assertThat(platform.commands).isEqualTo(devtabs(2));
    }

    @Test
    void whatAnEarlierOwnerLeftInTheFrameIsNoCompletion() {
        for (long frame = 0x10_0000; frame < 0x10_8000; frame += 0x1000) {
            platform.memory.store(frame, 77);
        }
        CommandBuffer buffer = buffer();
        platform.stuck = true;
        assertThat(buffer.add(devtab(0), 0)).isTrue();
        assertThat(buffer.complete()).isFalse();
    }

    @Test
    void aFullRingWaitsForRoomAndNothingIsLostOrOvertaken() {
        CommandBuffer buffer = buffer();
        for (int i = 0; i < 511; i++) {
            assertThat(buffer.add(devtab(i), 0)).isTrue();
        }
        assertThat(platform.commands).as("one slot stays free").isEmpty();
        for (int i = 511; i < 5000; i++) {
            assertThat(buffer.add(devtab(i), 0)).isTrue();
        }
        assertThat(platform.commands).hasSizeGreaterThanOrEqualTo(4489);
        assertThat(buffer.complete()).isTrue();
        assertThat(platform.commands).isEqualTo(devtabs(5000));
        assertThat(platform.unit.registers[0x2008 / 8]).isEqualTo(5001 % 512 * 16);
    }

    @Test
    void aRingThatStaysFullRefusesAndKeepsWhatItHas() {
        CommandBuffer buffer = buffer();
        platform.stuck = true;
        for (int i = 0; i < 511; i++) {
            assertThat(buffer.add(devtab(i), 0)).isTrue();
        }
        assertThat(buffer.add(devtab(511), 0)).isFalse();
        assertThat(buffer.complete()).isFalse();
        assertThat(platform.unit.registers[0x2008 / 8]).isEqualTo(511 * 16);
        platform.stuck = false;
        platform.unit.run();
        assertThat(platform.commands).isEqualTo(devtabs(511));
    }

    @ParameterizedTest
    @ValueSource(longs = {-1L, 0x2000, 0x8, 0x1_0000_0000L})
    void aHeadThatTheRingDoesNotHaveMakesNoRoom(long head) {
        CommandBuffer buffer = buffer();
        platform.stuck = true;
        for (int i = 0; i < 511; i++) {
            buffer.add(devtab(i), 0);
        }
        platform.unit.registers[0x2000 / 8] = head;
        assertThat(buffer.add(devtab(511), 0)).isFalse();
    }

    @Test
    void programmingAgainStartsAtTheFirstSlotWithNothingInIt() {
        CommandBuffer buffer = buffer();
        for (int i = 0; i < 700; i++) {
            buffer.add(devtab(i), 0);
        }
        platform.unit.run();
        platform.commands.clear();
        buffer.program();
        assertThat(platform.unit.registers[0x2008 / 8]).isZero();
        assertThat(platform.unit.registers[0x2000 / 8]).isZero();
        assertThat(platform.unit.registers[1] >>> 56).as("512 commands").isEqualTo(9);
        assertThat(buffer.add(devtab(0), 0)).isTrue();
        assertThat(buffer.complete()).isTrue();
        assertThat(platform.commands).isEqualTo(devtabs(1));
    }

    // --- by interrupt ---

    @Test
    void aCompletionInterruptsWhereThatIsAskedForAndStoresOtherwise() {
        AmdIommu storing = platform.open();
        assertThat(storing.units()).containsExactly("ivhd0");
        assertThat(platform.unit.registers[0x18 / 8] & 0x10).as("ComWaitIntEn").isZero();
        assertThat(platform.unit.registers[STATUS / 8] & COM_WAIT_INT).isZero();
        storing.close();

        platform.bootOptions = BY_INTERRUPT;
        AmdIommu interrupting = platform.open();
        assertThat(platform.unit.registers[0x18 / 8] & 0x10).as("ComWaitIntEn").isEqualTo(0x10);
        assertThat(platform.unit.registers[STATUS / 8] & COM_WAIT_INT).isEqualTo(COM_WAIT_INT);
        IommuDevice device = interrupting.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        IommuDomain domain = interrupting.allocate(DomainType.DMA, device);
        assertThat(domain.attach(device).attached()).isTrue();
        domain.detach(device);
        domain.close();
        interrupting.close();
        assertThat(platform.unit.registers[0x18 / 8] & 0x10).isZero();
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void whatAnEarlierWaitLeftIsNoCompletion() {
        platform.bootOptions = BY_INTERRUPT;
        CommandBuffer buffer = buffer();
        buffer.add(devtab(0), 0);
        platform.unit.logged = new ArrayList<>();
        assertThat(buffer.complete()).isTrue();
        assertThat(platform.unit.logged).as("write 1 to clear, then the tail").containsExactly("2020 = 4", "2008 = 20");
        assertThat(platform.unit.registers[STATUS / 8]).isEqualTo(COM_WAIT_INT);
        platform.stuck = true;
        buffer.add(devtab(1), 0);
        assertThat(buffer.complete()).isFalse();
        assertThat(platform.unit.registers[STATUS / 8]).isZero();
    }

    @Test
    void aUnitThatIsGoneInterruptsNoLonger() {
        platform.bootOptions = BY_INTERRUPT;
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        domain.map(0x1000, 0x1000, 4096, 1, Prot.READ);
        platform.gone = true;
        assertThatThrownBy(() -> domain.attach(device))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));
    }
}
