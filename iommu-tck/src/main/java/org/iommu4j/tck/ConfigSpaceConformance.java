// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.iommu4j.pci.ConfigSpace;
import org.junit.jupiter.api.Test;

/** The promises of {@link ConfigSpace}. */
public abstract class ConfigSpaceConformance extends PortConformance {
    private static final int STATUS = 6;
    private static final int HEADER = 0x0e;
    private static final int FIRST_EXTENDED = 0x100;

    /** Made by JUnit. */
    protected ConfigSpaceConformance() {}

    /** Makes the configuration space of some function, which a test may write to. */
    protected abstract ConfigSpace newConfigSpace();

    /**
     * Makes a configuration space of 64, 256 or 4096 bytes. By default all that {@link ConfigSpace} finds in it is
     * found by the interface's own methods; a platform whose class has methods of its own makes one of these.
     */
    protected ConfigSpace newConfigSpace(byte[] bytes) {
        return new Bytes(bytes.clone());
    }

    /** Bytes without any meaning of their own. */
    @SuppressWarnings("ArrayRecordComponent") // private, and its bytes are changed in place
    private record Bytes(byte[] bytes) implements ConfigSpace {
        @Override
        public int size() {
            return bytes.length;
        }

        @Override
        public int read(int offset, int count) {
            int value = 0;
            for (int i = count - 1; i >= 0; i--) {
                value = (value << 8) | (offset + i < bytes.length ? bytes[offset + i] & 0xff : 0xff);
            }
            return value;
        }

        @Override
        public void write(int offset, int count, int value) {
            for (int i = 0; i < count && offset + i < bytes.length; i++) {
                bytes[offset + i] = (byte) (value >>> (8 * i));
            }
        }
    }

    @Test
    @Promise("config-size-1")
    void theSizeIsOneOfThree() {
        ConfigSpace config = newConfigSpace();
        assertThat(config.size()).isIn(64, ConfigSpace.CONVENTIONAL_BYTES, ConfigSpace.EXPRESS_BYTES);
        assertThat(config.size()).as("asked again").isEqualTo(config.size());
        for (int size : new int[] {64, 256, 4096}) {
            assertThat(newConfigSpace(new byte[size]).size()).isEqualTo(size);
        }
    }

    @Test
    @Promise("config-read-1")
    void widthsAgreeLittleEndianWithoutSign() {
        ConfigSpace config = newConfigSpace();
        boolean high = false;
        for (int offset = 0; offset < config.size(); offset += 4) {
            int word = config.read(offset, 4);
            for (int half = 0; half < 4; half += 2) {
                assertThat(config.read(offset + half, 2))
                        .as("2 bytes at 0x%x", offset + half)
                        .isEqualTo((word >>> (8 * half)) & 0xffff);
            }
            for (int each = 0; each < 4; each++) {
                int read = config.read(offset + each, 1);
                assertThat(read).as("the byte at 0x%x", offset + each).isEqualTo((word >>> (8 * each)) & 0xff);
                high |= read > 0x7f;
            }
        }
        byte[] bytes = new byte[256];
        Arrays.fill(bytes, (byte) 0x81);
        bytes[0] = 1;
        ConfigSpace other = newConfigSpace(bytes);
        assertThat(other.read(0, 4)).isEqualTo(0x81818101);
        assertThat(other.read(2, 2)).isEqualTo(0x8181);
        assertThat(other.read(0, 1)).isEqualTo(1);
        assertThat(other.read(3, 1)).isEqualTo(0x81);
        assertThat(high || config.size() > 0).isTrue();
    }

    @Test
    @Promise({"config-1", "config-2"})
    void beyondItsEndReadsAreAllOnesAndWritesAreLost() {
        ConfigSpace[] all = {newConfigSpace(), newConfigSpace(new byte[64]), newConfigSpace(new byte[256])};
        for (ConfigSpace config : all) {
            int before = checksum(config);
            for (int offset = config.size(); offset < 2 * ConfigSpace.EXPRESS_BYTES; offset += 4) {
                config.write(offset, 4, 0x12345678);
                config.write(offset, 2, 0);
                config.write(offset, 1, 0);
                assertThat(config.read(offset, 4)).as("4 bytes at 0x%x", offset).isEqualTo(-1);
                assertThat(config.read(offset + 2, 2))
                        .as("2 bytes at 0x%x", offset + 2)
                        .isEqualTo(0xffff);
                assertThat(config.read(offset + 3, 1))
                        .as("the byte at 0x%x", offset + 3)
                        .isEqualTo(0xff);
            }
            assertThat(checksum(config)).as("what is there").isEqualTo(before);
        }
    }

    private static int checksum(ConfigSpace config) {
        int sum = 0;
        for (int offset = 0; offset < config.size(); offset += 4) {
            sum = sum * 31 + config.read(offset, 4);
        }
        return sum;
    }

    /** Vendor, device, revision, class and header type can be written nowhere; bus mastering can, and I/O bits may. */
    @Test
    @Promise("config-write-1")
    void readOnlyBitsStayAndOthersChange() {
        ConfigSpace config = newConfigSpace();
        int[] readOnly = {0x00, 0x08};
        for (int offset : readOnly) {
            int before = config.read(offset, 4);
            for (int value : new int[] {0, -1, 0x5a5a5a5a}) {
                config.write(offset, 4, value);
                config.write(offset, 2, value);
                config.write(offset + 3, 1, value);
                assertThat(config.read(offset, 4))
                        .as("the register at 0x%x", offset)
                        .isEqualTo(before);
            }
        }
        int header = config.read(HEADER, 1);
        config.write(HEADER, 1, ~header);
        assertThat(config.read(HEADER, 1)).as("the header's type").isEqualTo(header);

        int status = config.read(STATUS, 2) & 0x10;
        config.write(4, 2, 0x0002);
        assertThat(config.read(4, 2) & 0x6).as("memory space alone").isEqualTo(0x2);
        config.write(4, 2, 0x0006);
        assertThat(config.read(4, 2) & 0x6).as("memory space and bus mastering").isEqualTo(0x6);
        config.write(4, 1, 0x04);
        assertThat(config.read(4, 2) & 0x6).as("a byte was written").isEqualTo(0x4);
        assertThat(config.read(STATUS, 2) & 0x10)
                .as("the capability list's bit")
                .isEqualTo(status);
        config.write(0x3c, 1, 0x0b);
        assertThat(config.read(0x3c, 1)).as("the interrupt line").isEqualTo(0x0b);
        config.write(0x3c, 1, 0xfe);
        assertThat(config.read(0x3c, 1)).as("the interrupt line").isEqualTo(0xfe);
    }

    @Test
    @Promise("header-layout-1")
    void theLayoutIsTheHeaderTypeWithoutItsHighBit() {
        assertThat(newConfigSpace().headerLayout()).isEqualTo(newConfigSpace().read(HEADER, 1) & 0x7f);
        for (int type : new int[] {0, 1, 2, 0x7f, 0x80, 0x81, 0x82, 0xff}) {
            assertThat(withByte(HEADER, type).headerLayout()).isEqualTo(type & 0x7f);
        }
    }

    private ConfigSpace withByte(int offset, int value) {
        byte[] bytes = new byte[256];
        bytes[offset] = (byte) value;
        return newConfigSpace(bytes);
    }

    @Test
    @Promise("multi-function-1")
    void furtherFunctionsAreTheHighBitOfTheHeaderType() {
        assertThat(newConfigSpace().isMultiFunction())
                .isEqualTo((newConfigSpace().read(HEADER, 1) & 0x80) != 0);
        for (int type : new int[] {0, 1, 0x7f, 0x80, 0x81, 0xff}) {
            assertThat(withByte(HEADER, type).isMultiFunction())
                    .as("header type 0x%x", type)
                    .isEqualTo(type >= 0x80);
        }
    }

    @Test
    @Promise("bridge-1")
    void aBridgeHasTheHeaderOfOne() {
        for (int type = 0; type < 256; type++) {
            int layout = type & 0x7f;
            assertThat(withByte(HEADER, type).isBridge())
                    .as("header type 0x%x", type)
                    .isEqualTo(layout == 1 || layout == 2);
        }
    }

    @Test
    @Promise("secondary-bus-1")
    void theBusBelowABridgeHasEightBits() {
        for (int bus : new int[] {0, 1, 0x7f, 0x80, 0xff}) {
            byte[] bytes = new byte[256];
            bytes[HEADER] = 1;
            bytes[0x18] = 3;
            bytes[0x19] = (byte) bus;
            bytes[0x1a] = 5;
            assertThat(newConfigSpace(bytes).secondaryBus()).isEqualTo(bus);
        }
    }

    @Test
    @Promise("capability-1")
    void aCapabilityIsFoundInTheList() {
        byte[] bytes = new byte[256];
        bytes[STATUS] = 0x10;
        bytes[0x34] = 0x43;
        put(bytes, 0x40, 1, 0x60);
        put(bytes, 0x60, 5, 0x52);
        put(bytes, 0x50, 0x10, 0xfc);
        put(bytes, 0xfc, 0x11, 0);
        put(bytes, 0x70, 9, 0);
        ConfigSpace config = newConfigSpace(bytes);
        assertThat(config.findCapability(1)).isEqualTo(0x40);
        assertThat(config.findCapability(5)).isEqualTo(0x60);
        assertThat(config.findCapability(0x10)).isEqualTo(0x50);
        assertThat(config.findCapability(0x11)).isEqualTo(0xfc);
        assertThat(config.findCapability(9)).as("one outside the list").isZero();

        bytes[STATUS] = 0;
        assertThat(newConfigSpace(bytes).findCapability(1)).as("without a list").isZero();
        bytes[STATUS] = 0x10;
        put(bytes, 0xfc, 0x11, 0x60);
        assertThat(newConfigSpace(bytes).findCapability(9))
                .as("in a list that loops")
                .isZero();
        assertThat(newConfigSpace(bytes).findCapability(0x11)).isEqualTo(0xfc);
        bytes[0x34] = 0x20;
        assertThat(newConfigSpace(bytes).findCapability(1))
                .as("in a list inside the header")
                .isZero();

        ConfigSpace own = newConfigSpace();
        for (int id = 0; id < 0x20; id++) {
            int found = own.findCapability(id);
            assertThat(found == 0 || (own.read(found, 1) == id && found >= 0x40 && found < 0x100))
                    .as("capability 0x%x at 0x%x", id, found)
                    .isTrue();
        }
    }

    private static void put(byte[] bytes, int at, int id, int next) {
        bytes[at] = (byte) id;
        bytes[at + 1] = (byte) next;
    }

    private static void putExtended(byte[] bytes, int at, int id, int next) {
        int header = id | (1 << 16) | (next << 20);
        for (int i = 0; i < 4; i++) {
            bytes[at + i] = (byte) (header >>> (8 * i));
        }
    }

    @Test
    @Promise("extended-capability-1")
    void anExtendedCapabilityIsFoundInTheList() {
        byte[] bytes = new byte[4096];
        putExtended(bytes, FIRST_EXTENDED, 1, 0x200);
        putExtended(bytes, 0x200, 0x0d, 0x140);
        putExtended(bytes, 0x140, 0x0f, 0xffc);
        putExtended(bytes, 0xffc, 0x1b, 0);
        putExtended(bytes, 0x300, 0x13, 0);
        ConfigSpace config = newConfigSpace(bytes);
        assertThat(config.findExtendedCapability(1)).isEqualTo(FIRST_EXTENDED);
        assertThat(config.findExtendedCapability(0x0d)).isEqualTo(0x200);
        assertThat(config.findExtendedCapability(0x0f)).isEqualTo(0x140);
        assertThat(config.findExtendedCapability(0x1b)).isEqualTo(0xffc);
        assertThat(config.findExtendedCapability(0x13))
                .as("one outside the list")
                .isZero();
        assertThat(newConfigSpace(Arrays.copyOf(bytes, 256)).findExtendedCapability(1))
                .as("of a conventional function")
                .isZero();
        assertThat(newConfigSpace(new byte[4096]).findExtendedCapability(0))
                .as("in an empty list")
                .isZero();
        putExtended(bytes, 0xffc, 0x1b, 0x200);
        assertThat(newConfigSpace(bytes).findExtendedCapability(0x13))
                .as("in a list that loops")
                .isZero();
        assertThat(newConfigSpace(bytes).findExtendedCapability(0x1b)).isEqualTo(0xffc);
        Arrays.fill(bytes, FIRST_EXTENDED, bytes.length, (byte) -1);
        assertThat(newConfigSpace(bytes).findExtendedCapability(0xffff))
                .as("where nothing answers")
                .isZero();
    }

    /** Any bytes at all: the lists end. */
    @Test
    @Promise({"capability-1", "extended-capability-1"})
    void listsOfAnyBytesEnd() {
        Random random = random();
        for (int i = 0; i < 300; i++) {
            byte[] bytes = new byte[4096];
            random.nextBytes(bytes);
            bytes[STATUS] |= 0x10;
            ConfigSpace config = newConfigSpace(bytes);
            Map<Integer, Integer> found = new HashMap<>();
            for (int id : new int[] {0x10, 0x05, 0xff}) {
                found.put(id, config.findCapability(id));
            }
            found.forEach((id, offset) ->
                    assertThat(offset == 0 || config.read(offset, 1) == id).isTrue());
            int extended = config.findExtendedCapability(random.nextInt(1 << 16));
            assertThat(extended).isBetween(0, 4095);
        }
    }
}
