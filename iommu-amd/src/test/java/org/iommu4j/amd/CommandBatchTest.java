// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.iommu4j.Errno;
import org.junit.jupiter.api.Test;

/** Batches of commands over registers and a ring alone: by whom they are filled, and what they answer. */
class CommandBatchTest {
    private final TestPlatform platform = new TestPlatform();
    private final List<String> errorsRead = new ArrayList<>();
    private final UnitCommands commands = commands();

    private UnitCommands commands() {
        CommandBuffer buffer = new CommandBuffer(platform.context(), platform.unit);
        buffer.program();
        platform.unit.registers[0x18 / 8] = 1L << 12;
        return new UnitCommands("ivhd0", platform.unit, buffer, 1L << 12, this::readErrors);
    }

    private void readErrors() {
        errorsRead.add("read");
        commands.noteError("an illegal command");
    }

    private static long devtab(int requesterId) {
        return 0x2000_0000_0000_0000L | requesterId;
    }

    private static List<String> devtabs(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> String.format("devtab %04x", i))
                .toList();
    }

    private boolean run(int count) {
        synchronized (commands) {
            CommandBatch batch = commands.begin();
            for (int i = 0; i < count; i++) {
                batch.add(devtab(i), 0);
            }
            return batch.complete();
        }
    }

    @Test
    void aThreadWithoutTheUnitsMonitorGetsNoBatch() {
        assertThatThrownBy(commands::begin).isInstanceOf(IllegalStateException.class);
        assertThat(run(1)).isTrue();
        assertThat(platform.commands).isEqualTo(devtabs(1));
    }

    @Test
    void aBatchHasOneWaitAndOneAnswer() {
        platform.unit.logged = new ArrayList<>();
        synchronized (commands) {
            CommandBatch batch = commands.begin();
            batch.add(devtab(0), 0);
            batch.add(devtab(1), 0);
            assertThat(platform.unit.logged).isEmpty();
            assertThat(batch.complete()).isTrue();
            assertThat(platform.unit.logged).as("the tail").containsExactly("2008 = 30");
            assertThatThrownBy(batch::complete).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> batch.add(devtab(2), 0)).isInstanceOf(IllegalStateException.class);
        }
        assertThat(platform.commands).isEqualTo(devtabs(2));
        assertThat(run(1)).as("the next batch").isTrue();
        assertThat(commands.broken()).isFalse();
        assertThat(errorsRead).isEmpty();
    }

    @Test
    void aBatchThatDoesNotFitBreaksTheUnitAfterOneWaitForRoom() {
        platform.stuck = true;
        platform.unit.logged = new ArrayList<>();
        assertThat(run(600)).isFalse();
        assertThat(platform.unit.logged).as("one wait for room").hasSize(2);
        assertThat(commands.broken()).isTrue();
        assertThat(errorsRead).hasSize(1);
        assertThat(commands.refusal(false, "attach"))
                .hasMessage(
                        "ETIMEDOUT: attach: ivhd0 did not complete an invalidation; it reported an illegal command");
    }

    @Test
    void aBrokenUnitIsNotAskedAgain() {
        platform.stuck = true;
        assertThat(run(1)).isFalse();
        platform.stuck = false;
        platform.unit.run();
        platform.commands.clear();
        platform.unit.logged = new ArrayList<>();
        assertThat(run(2)).isFalse();
        platform.unit.run();
        assertThat(platform.commands).isEmpty();
        assertThat(platform.unit.logged).isEmpty();
        assertThat(errorsRead).as("read when it broke").hasSize(1);
        assertThat(commands.refusal(true, "attach").errno()).isEqualTo(Errno.EIO);
    }

    @Test
    void aStoppedUnitIsNotAskedAndIsNotBrokenByThat() {
        commands.stop();
        platform.unit.logged = new ArrayList<>();
        assertThat(run(1)).isFalse();
        assertThat(platform.unit.logged).isEmpty();
        assertThat(errorsRead).isEmpty();
        assertThat(commands.refusal(false, "attach")).hasMessage("EIO: attach: ivhd0 is off, its driver was closed");
    }
}
