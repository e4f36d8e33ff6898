// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;
import org.iommu4j.riscv.fmt.DeviceContext;

/**
 * A unit's device directory: one to three levels of tables, and in the last the contexts of devices. "Device directory
 * table".
 *
 * <p>Tables are made when a device is probed and stay until the unit is off. Used under the attacher's monitor.
 */
final class DeviceDirectory {
    private static final int INDEX_BITS = 9;

    /** Bits of the largest device id, whatever the format. */
    static final int MOST_ID_BITS = 24;

    private final SystemMemory memory;
    private final TableFrames frames;
    private final int contextShift;
    private final List<Long> tables = new ArrayList<>();
    private int levels;

    /**
     * Makes an empty directory.
     *
     * @param extended whether contexts have the words for MSI tables (MSI_FLAT)
     * @throws IommuException ENOMEM
     */
    DeviceDirectory(SystemMemory memory, TableFrames frames, boolean extended) {
        this.memory = memory;
        this.frames = frames;
        this.contextShift = extended ? DeviceContext.EXTENDED_SHIFT : DeviceContext.BASE_SHIFT;
        this.tables.add(frames.take());
    }

    /** Returns the root's physical address. */
    long root() {
        return tables.get(0);
    }

    /** Sets the levels that the unit walks, 1 to 3. */
    void levels(int count) {
        levels = count;
    }

    /** Returns how many frames it has. */
    long frames() {
        return tables.size();
    }

    /** Returns how many bits of an id select a context in a table of the last level. */
    private int leafBits() {
        return Long.numberOfTrailingZeros(SystemMemory.FRAME_SIZE) - contextShift;
    }

    /** Returns whether the directory has room for an id. */
    boolean holds(long deviceId) {
        int bits = Math.min(leafBits() + (levels - 1) * INDEX_BITS, MOST_ID_BITS);
        return deviceId >>> bits == 0;
    }

    /**
     * Returns the physical address of an id's context, whose tables are made where they are missing.
     *
     * @param deviceId one that it {@link #holds}
     * @throws IommuException ENOMEM; what was linked stays, empty
     */
    long context(long deviceId) {
        long table = root();
        for (int level = levels - 1; level > 0; level--) {
            long index = deviceId >>> (leafBits() + (level - 1) * INDEX_BITS) & (SystemMemory.FRAME_WORDS - 1);
            long entryAddress = table + index * Long.BYTES;
            long entry = memory.load(entryAddress);
            if (!DeviceContext.V.isSet(entry)) {
                long frame = frames.take();
                tables.add(frame);
                entry = DeviceContext.table(frame);
                memory.store(entryAddress, entry); // entries that are not valid are never cached
            }
            table = DeviceContext.tableOf(entry);
        }
        return table + ((deviceId & ((1L << leafBits()) - 1)) << contextShift);
    }

    long translationControl(long context) {
        return memory.load(context + DeviceContext.TC);
    }

    void translationControl(long context, long value) {
        memory.store(context + DeviceContext.TC, value);
    }

    long firstStage(long context) {
        return memory.load(context + DeviceContext.FSC);
    }

    int pscid(long context) {
        return (int) DeviceContext.PSCID.get(memory.load(context + DeviceContext.TA));
    }

    /** Stores all of a context but its translation control. */
    void attributes(long context, long firstStage, int pscid) {
        memory.store(context + DeviceContext.FSC, firstStage);
        memory.store(context + DeviceContext.TA, DeviceContext.PSCID.of(pscid));
    }

    /** Frees all tables, which the unit no longer uses. */
    void free() {
        tables.forEach(table -> frames.free(table, 0));
        tables.clear();
    }

    @Override
    public String toString() {
        return levels + " levels at " + Hex.of(root());
    }
}
