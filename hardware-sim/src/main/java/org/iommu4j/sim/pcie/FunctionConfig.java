// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Objects;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.jspecify.annotations.Nullable;

/**
 * A function's configuration space, with write masks for the registers that software writes.
 *
 * <p>Writable: Command, Cache Line Size, Interrupt Line; a bridge's bus numbers, windows and Bridge Control; Device
 * Control (all except its top bit, with Enable Relaxed Ordering and Enable No Snoop), Link Control, Slot Control, Root
 * Control and Device Control 2; MSI and MSI-X; the power state; ACS Control as far as its capability bits allow; ATS,
 * PRI and PASID Control. Base address registers are writable down to the size that the description gives them, so that
 * writing all ones tells it; those without a size are read-only. Write-1-to-clear: the error bits of Status, Secondary
 * Status, Device Status and PRI Status. Everything else is read-only. Source: PCI Express Base 5.0, chapter 7.
 *
 * <p>At power-on the bytes are those of the description. In addition, memory space and bus mastering of devices and
 * bridges are enabled, as by firmware and {@code pci_set_master}.
 */
public final class FunctionConfig implements ConfigSpace {
    private static final int COMMAND = 0x04;
    private static final int COMMAND_MEMORY = 1 << 1;
    private static final int COMMAND_BUS_MASTER = 1 << 2;
    private static final int HEADER_TYPE = 0x0e;
    private static final int SECONDARY_BUS = 0x19;
    private static final int DEVICE_CONTROL = 0x08;
    private static final int ENABLE_RELAXED_ORDERING = 1 << 4;
    private static final int ENABLE_NO_SNOOP = 1 << 11;
    private static final int BASE_CLASS_BRIDGE = 0x06;

    // Fields that every request reads, decoded into one word.
    private static final int DECODED = 1;
    private static final int BUS_MASTER = 1 << 1;
    private static final int NO_SNOOP = 1 << 2;
    private static final int RELAXED_ORDERING = 1 << 3;
    private static final int ATS = 1 << 4;
    private static final int PASID = 1 << 5;
    /** Offset of the control register of ATS and PASID. */
    private static final int CONTROL = 6;

    private static final int ATS_ENABLE = 1 << 15;
    private static final int PASID_ENABLE = 1;
    private static final int PRI = 1 << 6;
    private static final int PRI_CONTROL = 4;
    private static final int PRI_ENABLE = 1;
    private static final int SECONDARY_BUS_SHIFT = 8;
    private static final int TYPE_SHIFT = 16;

    private final FunctionDescription description;
    private byte @Nullable [] powerOn;
    private byte[] bytes = new byte[0];
    private @Nullable WriteMasks masks;
    private int pciExpress;
    private @Nullable PageRequestInterface pageRequests;
    private @Nullable AddressTranslationCache deviceTlb;

    /** 0 until decoded, and again after a write. */
    private volatile int attributes;

    /** Makes the configuration space of a function at power-on. */
    public FunctionConfig(FunctionDescription description) {
        Objects.requireNonNull(description, "description");
        this.description = description;
    }

    @Override
    public synchronized int size() {
        return bytes().length;
    }

    @Override
    public synchronized int read(int offset, int count) {
        checkAccess(offset, count);
        byte[] all = bytes();
        if (offset + count > all.length) {
            return count == 4 ? -1 : (1 << (8 * count)) - 1;
        }
        int value = 0;
        for (int i = count - 1; i >= 0; i--) {
            value = value << 8 | (all[offset + i] & 0xff);
        }
        return value;
    }

    @Override
    public synchronized void write(int offset, int count, int value) {
        checkAccess(offset, count);
        byte[] all = bytes();
        if (offset + count > all.length) {
            return;
        }
        WriteMasks writable = masks;
        if (writable == null) {
            writable = WriteMasks.of(this, description.barSizes());
            masks = writable;
        }
        if (all == powerOn) {
            all = all.clone();
            bytes = all;
        }
        boolean translated = atsEnabled();
        for (int i = 0; i < count; i++) {
            all[offset + i] = writable.afterWrite(offset + i, all[offset + i], (byte) (value >>> (8 * i)));
        }
        attributes = 0;
        if (deviceTlb != null && !translated && atsEnabled()) {
            deviceTlb.reset();
        }
        PageRequestInterface told = pageRequests;
        if (told != null) {
            told.written(offset, count, value);
        }
    }

    /** Sets the objects that writes act on: the Page Request Interface, and the IOTLB that ATS fills. */
    synchronized void connect(PageRequestInterface interfaceOfPages, AddressTranslationCache translations) {
        pageRequests = interfaceOfPages;
        deviceTlb = translations;
    }

    /** Changes a register of 16 bits as hardware does: nothing is masked. */
    synchronized void change(int offset, int clear, int set) {
        byte[] all = bytes();
        if (all == powerOn) {
            all = all.clone();
            bytes = all;
        }
        int value = (read(offset, 2) & ~clear) | set;
        all[offset] = (byte) value;
        all[offset + 1] = (byte) (value >>> 8);
    }

    /** Returns whether this is a device that may make requests: neither a bridge nor the host bridge. */
    public boolean isDevice() {
        return headerLayout() == 0 && read(0x0b, 1) != BASE_CLASS_BRIDGE;
    }

    /** Returns the offset of the PCI Express capability, 0 when there is none. */
    public synchronized int pciExpressOffset() {
        bytes();
        return pciExpress;
    }

    /** Returns whether the function may make requests, or a bridge pass them on. */
    public boolean busMasterEnabled() {
        return (attributes() & BUS_MASTER) != 0;
    }

    /** Returns whether requests may carry no-snoop; never for a function without PCI Express capability. */
    public boolean noSnoopEnabled() {
        return (attributes() & NO_SNOOP) != 0;
    }

    /** Returns whether requests may carry relaxed ordering; never for a function without PCI Express capability. */
    public boolean relaxedOrderingEnabled() {
        return (attributes() & RELAXED_ORDERING) != 0;
    }

    /** Returns whether the function requests and caches translations: Address Translation Services are enabled. */
    public boolean atsEnabled() {
        return (attributes() & ATS) != 0;
    }

    /** Returns whether requests may carry a PASID. */
    public boolean pasidEnabled() {
        return (attributes() & PASID) != 0;
    }

    /** Returns whether the function may send page requests: its Page Request Interface is enabled. */
    public boolean pageRequestsEnabled() {
        return (attributes() & PRI) != 0;
    }

    /** Returns the PCI Express device or port type, -1 for a conventional function. */
    public int pciExpressType() {
        return ((attributes() >>> TYPE_SHIFT) & 0x1f) - 1;
    }

    @Override
    public int secondaryBus() {
        return (attributes() >>> SECONDARY_BUS_SHIFT) & 0xff;
    }

    /** Returns everything to its power-on state. */
    public synchronized void reset() {
        if (powerOn != null) {
            bytes = powerOn;
            attributes = 0;
        }
    }

    /** Adds all differences from the power-on state. */
    public synchronized void addTo(StateDigest digest) {
        Objects.requireNonNull(digest, "digest");
        byte[] initial = powerOn;
        if (initial == null || bytes == initial) {
            return;
        }
        int requesterId = description.address().requesterId();
        for (int i = 0; i < initial.length; i++) {
            if (bytes[i] != initial[i]) {
                digest.add((long) description.address().segment() << 40
                        | (long) requesterId << 24
                        | i << 8
                        | (bytes[i] & 0xff));
            }
        }
    }

    private int attributes() {
        int known = attributes;
        return known != 0 ? known : decode();
    }

    private synchronized int decode() {
        int decoded = DECODED | read(SECONDARY_BUS, 1) << SECONDARY_BUS_SHIFT;
        if ((read(COMMAND, 2) & COMMAND_BUS_MASTER) != 0) {
            decoded |= BUS_MASTER;
        }
        int offset = pciExpressOffset();
        if (offset != 0) {
            int control = read(offset + DEVICE_CONTROL, 2);
            decoded |= (control & ENABLE_NO_SNOOP) != 0 ? NO_SNOOP : 0;
            decoded |= (control & ENABLE_RELAXED_ORDERING) != 0 ? RELAXED_ORDERING : 0;
            decoded |= isControlSet(EXTENDED_CAPABILITY_ATS, CONTROL, ATS_ENABLE) ? ATS : 0;
            decoded |= isControlSet(EXTENDED_CAPABILITY_PASID, CONTROL, PASID_ENABLE) ? PASID : 0;
            decoded |= isControlSet(EXTENDED_CAPABILITY_PRI, PRI_CONTROL, PRI_ENABLE) ? PRI : 0;
            decoded |= (((read(offset + 2, 2) >>> 4) & 0xf) + 1) << TYPE_SHIFT;
        }
        attributes = decoded;
        return decoded;
    }

    /** Returns whether a bit is set in the control register of a capability, if there is one. */
    private boolean isControlSet(int capability, int control, int bit) {
        int offset = findExtendedCapability(capability);
        return offset != 0 && (read(offset + control, 2) & bit) != 0;
    }

    /** Copies the description's bytes at first use: many machines never use them. */
    private byte[] bytes() {
        if (powerOn == null) {
            byte[] initial = description.config();
            boolean masters = (initial[HEADER_TYPE] & 0x7f) == 1 || initial[0x0b] != BASE_CLASS_BRIDGE;
            if (masters) {
                initial[COMMAND] |= COMMAND_MEMORY | COMMAND_BUS_MASTER;
            }
            powerOn = initial;
            bytes = initial;
            pciExpress = findCapability(CAPABILITY_PCI_EXPRESS);
        }
        return bytes;
    }

    private void checkAccess(int offset, int count) {
        if (offset < 0 || (count != 1 && count != 2 && count != 4) || offset % count != 0) {
            throw new IllegalArgumentException("configuration access of " + count + " bytes at 0x"
                    + Integer.toHexString(offset) + " of " + description.address()
                    + ", expected 1, 2 or 4 bytes and that alignment");
        }
    }
}
