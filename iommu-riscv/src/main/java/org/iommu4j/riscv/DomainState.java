// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.riscv.fmt.DeviceContext;

/** A domain as the {@link Attacher} needs it: what is in its devices' contexts. Its monitor guards what changes. */
abstract class DomainState {
    /** The tag of device contexts without a table. */
    static final int NO_TAG = 0;

    private final DomainType type;

    /** Whether a unit may use the tables for ever. */
    private boolean leftBehind;

    /** Changed under the monitor, read without it. */
    private volatile boolean closed;

    DomainState(DomainType type) {
        this.type = type;
    }

    /** Returns the type of the domain. */
    public final DomainType type() {
        return type;
    }

    // --- contexts of its devices ---

    /** Returns the first stage of its devices' contexts. */
    long firstStage() {
        return DeviceContext.BARE;
    }

    /** Returns the tag of its devices' translations. */
    int tag() {
        return NO_TAG;
    }

    /** Returns whether its devices' contexts are valid. */
    final boolean passes() {
        return type != DomainType.BLOCKED;
    }

    // --- its devices, by unit ---

    /**
     * Throws when a unit can't walk its table.
     *
     * @throws IommuException ENODEV
     */
    void checkFits(RiscvUnit unit) {
        // without a table every unit can
    }

    /** Notes that a device behind a unit joins. */
    void join(RiscvUnit unit) {
        // nothing is cached without a tag
    }

    /** Notes that a device behind a unit has left. */
    void leave(RiscvUnit unit) {
        // nothing is cached without a tag
    }

    /** Returns whether a unit has to forget its tag when one more device leaves. */
    boolean isLast(RiscvUnit unit) {
        return false;
    }

    /** Notes that a unit may use the tables for ever. */
    final void leaveBehind() {
        leftBehind = true;
    }

    final boolean isLeftBehind() {
        return leftBehind;
    }

    // --- open and closed ---

    /** Gives its frames and its tag back; frames that a unit may use for ever are quarantined. */
    void free() {
        // without a table it has none
    }

    final boolean isClosed() {
        return closed;
    }

    /** Refuses all later calls. */
    final void shut() {
        closed = true;
    }

    /**
     * Throws when the domain or its driver is closed.
     *
     * @throws IommuException ENODEV
     */
    public final void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the domain is closed");
        }
    }
}
