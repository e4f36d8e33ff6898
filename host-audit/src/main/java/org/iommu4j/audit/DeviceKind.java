// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The kinds of devices that people give to guests, by class. */
public enum DeviceKind {
    /** Graphics: display controllers of any kind. */
    GRAPHICS("graphics", "vga|3d controller|display"),
    /** Network: Ethernet, wireless and others. */
    NETWORK("network", "ethernet|network|infiniband"),
    /** Disks that speak NVMe. */
    NVME("NVMe", "non-volatile memory|nvme"),
    /** USB host controllers. */
    USB("USB", "usb controller");

    private final String title;
    private final Pattern words;

    DeviceKind(String title, String words) {
        this.title = title;
        this.words = Pattern.compile(words, Pattern.CASE_INSENSITIVE);
    }

    /** Returns what it is called. */
    public String title() {
        return title;
    }

    /** Returns the kind of a device by its class code, else by what its class is called; empty for all others. */
    public static Optional<DeviceKind> of(AuditedDevice device) {
        Objects.requireNonNull(device, "device");
        if (device.classCode().isPresent()) {
            int code = device.classCode().getAsInt();
            return switch (code >>> 8) {
                case 0x02 -> Optional.of(NETWORK);
                case 0x03 -> Optional.of(GRAPHICS);
                default -> code == 0x0108 ? Optional.of(NVME) : code == 0x0c03 ? Optional.of(USB) : Optional.empty();
            };
        }
        String name = device.className().orElse("");
        return Stream.of(values())
                .filter(kind -> kind.words.matcher(name).lookingAt())
                .findFirst();
    }
}
