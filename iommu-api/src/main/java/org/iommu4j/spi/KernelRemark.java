// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;

/**
 * Something that Linux, firmware or QEMU said of a host's IOMMU and that an operator must know.
 *
 * @param kind what it is about
 * @param device the function that it is about, empty where it is about the host
 * @param text what was said, in one line for people
 * @param meaning what that means and what can be done, with its source
 */
public record KernelRemark(Kind kind, Optional<PciAddress> device, String text, Reason meaning) {
    /** What a remark is about. */
    public enum Kind {
        /** Linux refused to give the device to user space. */
        REFUSED,
        /** Linux was patched or told to give away devices that it would refuse. */
        RELAXED,
        /** The unit blocked an access or an interrupt of the device. */
        FAULT,
        /** The firmware's table is wrong. */
        FIRMWARE_BUG,
        /** The units differ in what they can do. */
        UNITS_DIFFER,
        /** VFIO refused the device's group because of another driver in it. */
        NOT_VIABLE,
        /** The device is in no group. */
        NO_GROUP,
        /** VFIO's driver refused the device. */
        PROBE_FAILED,
        /** Groups are no isolation on this host. */
        NO_ISOLATION,
        /** Interrupts are not remapped. */
        NO_REMAPPING,
        /** The IOMMU is off, or part of it is. */
        OFF
    }

    /** The most characters of a quotation. */
    private static final int MAX_QUOTED = 200;

    /** Refuses what is missing. */
    public KernelRemark {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(text, "text");
        Objects.requireNonNull(meaning, "meaning");
    }

    /** Makes a remark about the host. */
    public static KernelRemark of(Kind kind, String text, Reason meaning) {
        return new KernelRemark(kind, Optional.empty(), text, meaning);
    }

    /** Makes a remark about a device. */
    public static KernelRemark of(Kind kind, PciAddress device, String text, Reason meaning) {
        return new KernelRemark(kind, Optional.of(device), text, meaning);
    }

    /**
     * Makes a remark about the host in the words of the log, without white space around them and at most
     * {@value #MAX_QUOTED} characters of them.
     */
    public static KernelRemark quoting(Kind kind, String words, Reason meaning) {
        String text = words.strip();
        return of(kind, text.substring(0, Math.min(MAX_QUOTED, text.length())), meaning);
    }
}
