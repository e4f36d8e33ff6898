// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.pci.ConfigSpace;

/** Removes from a capture the data that identifies a machine. */
final class Redaction {
    /** The file of a function that is configuration space. */
    static final String CONFIG = "config";

    /** Device Serial Number extended capability; on network cards it holds the MAC address. */
    static final int EXTENDED_CAPABILITY_SERIAL_NUMBER = 0x0003;

    /** Vital Product Data capability, whose data register holds what was last read. */
    static final int CAPABILITY_VITAL_PRODUCT_DATA = 0x03;

    static final int MAX_HOPS = 960;

    private static final String HEX = "[0-9A-Fa-f]";
    private static final String PAIR = HEX + "{2}";

    /** MAC addresses, UUIDs, and who built the kernel. */
    private static final List<Edit> TEXT = List.of(
            new Edit(
                    "(^|[^0-9A-Fa-f:-])" + PAIR + "([:-]" + PAIR + "){5,7}($|[^0-9A-Fa-f:-])",
                    "\\1XX:XX:XX:XX:XX:XX\\3"),
            new Edit(
                    "(^|[^0-9A-Fa-f])" + HEX + "{8}-(" + HEX + "{4}-){3}" + HEX + "{12}($|[^0-9A-Fa-f])",
                    "\\1XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX\\3"),
            new Edit("\\([^ ]{1,64}@[^ ]{1,64}\\)", "(builder)"));

    private Redaction() {}

    /** Returns configuration space with serial numbers and vital product data as zeros. */
    static byte[] config(byte[] bytes) {
        KnownConfig config = new KnownConfig(Arrays.copyOf(bytes, ConfigSpace.EXPRESS_BYTES));
        byte[] masked = bytes.clone();
        int vital = config.findCapability(CAPABILITY_VITAL_PRODUCT_DATA);
        if (vital != 0) {
            clear(masked, vital + 4, 4);
        }
        int offset = ConfigSpace.CONVENTIONAL_BYTES;
        for (int hops = 0; hops < MAX_HOPS && offset >= ConfigSpace.CONVENTIONAL_BYTES; hops++) {
            if (offset + 4 > config.size()) {
                break;
            }
            int header = config.read(offset, 4);
            if ((header & 0xffff) == EXTENDED_CAPABILITY_SERIAL_NUMBER && header != 0) {
                clear(masked, offset + 4, 8);
            }
            offset = (header >>> 20) & 0xffc;
        }
        return masked;
    }

    /** Returns a line of printable ASCII without MAC addresses, UUIDs and the name of the kernel's builder. */
    static String text(String text) {
        String masked = text;
        for (Edit edit : TEXT) {
            masked = edit.all(masked);
        }
        return masked;
    }

    /** Returns the arguments of {@code sed} that do the same. */
    static List<String> commands() {
        return Stream.concat(Stream.of("-e :m"), TEXT.stream().map(edit -> edit.replaceAndGo("m")))
                .toList();
    }

    private static void clear(byte[] bytes, int from, int count) {
        for (int i = from; i < Math.min(from + count, bytes.length); i++) {
            bytes[i] = 0;
        }
    }
}
