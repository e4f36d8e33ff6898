// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Objects;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.jspecify.annotations.Nullable;

/**
 * A device that is a bus master and not on PCI: it reads and writes single words.
 *
 * <p>It has no configuration space, so nothing turns its requests off. They carry one of its source ids, the first
 * unless {@link #useSourceId} chose another. It never sends no-snoop: whether it is snooped depends on the machine and
 * on the memory type of the translation.
 *
 * <p>For one thread at a time; {@link #fork} makes another requester of the same device.
 */
public final class PlatformMaster {
    private static final int RIGHTS = RequestFlags.EXECUTE | RequestFlags.PRIVILEGED;

    private final PlatformDeviceDescription description;
    private final @Nullable TranslationUnit unit;
    private final RootComplex rootComplex;
    private final Tlp tlp;

    /**
     * Makes a device.
     *
     * @param unit the translation unit that its requests pass, null when they pass none
     */
    public PlatformMaster(
            PlatformDeviceDescription description, @Nullable TranslationUnit unit, RootComplex rootComplex) {
        Objects.requireNonNull(description, "description");
        Objects.requireNonNull(rootComplex, "rootComplex");
        this.description = description;
        this.unit = unit;
        this.rootComplex = rootComplex;
        tlp = new Tlp(description.id().toString(), -1);
        tlp.coherent = description.coherent();
        tlp.sourceId = description.sourceIds().get(0);
    }

    /** Makes another requester of the same device, with its own results, for a second thread. */
    public PlatformMaster fork() {
        PlatformMaster other = new PlatformMaster(description, unit, rootComplex);
        other.tlp.sourceId = tlp.sourceId;
        return other;
    }

    /** Returns its name. */
    public NamedDevice device() {
        return description.id();
    }

    /**
     * Sets the PASID of all later requests.
     *
     * @param pasid 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}
     */
    public void usePasid(int pasid) {
        tlp.pasid = pasid;
    }

    /**
     * Sets the source id of all later requests.
     *
     * @throws IllegalArgumentException when the device does not have it
     */
    public void useSourceId(int sourceId) {
        if (!description.sourceIds().contains(sourceId)) {
            throw new IllegalArgumentException(
                    "device " + description.id() + " has no source id 0x" + Integer.toHexString(sourceId));
        }
        tlp.sourceId = sourceId;
    }

    /**
     * Reads a word.
     *
     * @param iova untranslated address, aligned to 8
     * @param rights {@link RequestFlags} EXECUTE and PRIVILEGED, 0 for a user's read of data
     * @return the value; all ones when the request was refused, see {@link #lastStatus}
     */
    public long read(long iova, int rights) {
        send(iova, RequestFlags.READ, rights);
        return tlp.data;
    }

    /**
     * Writes a word.
     *
     * @param iova untranslated address, aligned to 8
     * @param rights {@link RequestFlags} PRIVILEGED, 0 for a user's write
     * @return whether it was accepted, also as an interrupt or by the unit itself; see {@link #lastStatus}
     */
    public boolean write(long iova, long value, int rights) {
        tlp.data = value;
        send(iova, RequestFlags.WRITE, rights);
        return tlp.status.isAccepted();
    }

    /**
     * Writes 4 bytes, as an interrupt message does.
     *
     * @param iova untranslated address, aligned to 4
     * @param rights {@link RequestFlags} PRIVILEGED, 0 for a user's write
     * @return whether it was accepted, also as an interrupt or by the unit itself; see {@link #lastStatus}
     */
    public boolean write32(long iova, int value, int rights) {
        tlp.data = Integer.toUnsignedLong(value);
        send(iova, RequestFlags.WRITE, rights, Integer.BYTES);
        return tlp.status.isAccepted();
    }

    private void send(long iova, int direction, int rights) {
        send(iova, direction, rights, Long.BYTES);
    }

    private void send(long iova, int direction, int rights, int bytes) {
        if ((rights & ~RIGHTS) != 0 || (RequestFlags.writes(direction) && (rights & RequestFlags.EXECUTE) != 0)) {
            throw new IllegalArgumentException("device " + description.id() + " can't ask for rights 0x"
                    + Integer.toHexString(rights) + ": expected PRIVILEGED, and EXECUTE with a read");
        }
        tlp.begin(iova, direction | rights, bytes);
        rootComplex.handle(tlp, unit);
    }

    /** Returns the status of the last request. */
    public RequestStatus lastStatus() {
        return tlp.status;
    }

    /** Returns the translation unit's fault code of the last request, 0 when it did not refuse it. */
    public int lastFault() {
        return tlp.fault;
    }
}
