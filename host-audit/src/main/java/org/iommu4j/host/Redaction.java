// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.regex.Pattern;
import org.iommu4j.pci.ConfigSpace;

/** Removes from a capture the data that identifies a machine. */
final class Redaction {
    /** Device Serial Number extended capability; on network cards it holds the MAC address. */
    private static final int EXTENDED_CAPABILITY_SERIAL_NUMBER = 0x0003;

    /** Vital Product Data capability, whose data register holds what was last read. */
    private static final int CAPABILITY_VITAL_PRODUCT_DATA = 0x03;

    private static final int MAX_HOPS = 960;
    private static final Pattern MAC =
            Pattern.compile("(?i)(?<![0-9a-f:-])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5,7}(?![0-9a-f:-])");
    private static final Pattern UUID = Pattern.compile(
            "(?i)(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f])");
    private static final Pattern BUILDER = Pattern.compile("\\(\\S{1,64}@\\S{1,64}\\)");

    private Redaction() {}

    /** Returns configuration space with serial numbers and vital product data as zeros. */
    static byte[] config(byte[] bytes) {
        KnownConfig config = new KnownConfig(bytes);
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

    /** Returns text without MAC addresses, UUIDs and who built the kernel. */
    static String text(String text) {
        String masked = MAC.matcher(text).replaceAll("XX:XX:XX:XX:XX:XX");
        masked = UUID.matcher(masked).replaceAll("XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX");
        return BUILDER.matcher(masked).replaceAll("(builder)");
    }

    private static void clear(byte[] bytes, int from, int count) {
        for (int i = from; i < Math.min(from + count, bytes.length); i++) {
            bytes[i] = 0;
        }
    }
}
