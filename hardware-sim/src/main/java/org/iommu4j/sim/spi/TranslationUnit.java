// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * A simulated IOMMU: registers on one side, requests on the other, tables behind it.
 *
 * <p>Writing a register never processes a queue; it makes work that {@link #step} does, one event at a time, so that
 * the machine decides when [unit-1]. Over a fabric with caches a unit belongs to the machine's one thread. Over a flat
 * fabric {@link #translate} runs on any thread without a lock, beside registers and {@link #step}, which lock the unit
 * [unit-2]. A unit reaches memory through its {@link Fabric} only, each access snooped or not as the manual says of
 * that structure [unit-3].
 */
public interface TranslationUnit {
    /** No PASID: an ordinary request. */
    int NO_PASID = -1;

    /** The answer to a translation request that is granted nothing: no fault is recorded, the device asks again. */
    long NOT_TRANSLATED = Translation.fault(0);

    /** Returns the specification that the unit was made from [unit-spec-1]. */
    TranslationUnitSpec spec();

    /**
     * Reads an 8-bit register; unless a unit has such registers, 8 bits of a 32-bit one [unit-read-eight-1].
     *
     * @return 0 to 0xff
     */
    default int readRegister8(int offset) {
        return (readRegister32(offset & ~3) >>> ((offset & 3) * 8)) & 0xff;
    }

    /**
     * Reads a 16-bit register; unless a unit has such registers, half of a 32-bit one [unit-read-sixteen-1].
     *
     * @param offset in bytes, aligned to 2
     * @return 0 to 0xffff
     */
    default int readRegister16(int offset) {
        return (readRegister32(offset & ~3) >>> ((offset & 2) * 8)) & 0xffff;
    }

    /**
     * Writes an 8-bit register.
     *
     * @throws IllegalStateException when the unit has none [unit-write-eight-1]
     */
    default void writeRegister8(int offset, int value) {
        throw new IllegalStateException("unit " + spec().name() + " has no register of 8 bits; written 0x"
                + Integer.toHexString(value & 0xff) + " at offset 0x" + Integer.toHexString(offset));
    }

    /**
     * Writes a 16-bit register.
     *
     * @param offset in bytes, aligned to 2
     * @throws IllegalStateException when the unit has none [unit-write-sixteen-1]
     */
    default void writeRegister16(int offset, int value) {
        throw new IllegalStateException("unit " + spec().name() + " has no register of 16 bits; written 0x"
                + Integer.toHexString(value & 0xffff) + " at offset 0x" + Integer.toHexString(offset));
    }

    /**
     * Reads a 32-bit register at an offset in bytes, aligned to 4 [unit-read-thirty-two-1]. Unless a unit has such
     * registers, it is half of a 64-bit one.
     */
    default int readRegister32(int offset) {
        return (int) (readRegister64(offset & ~7) >>> ((offset & 4) * 8));
    }

    /** Reads a 64-bit register at an offset in bytes, aligned to 8 [unit-read-sixty-four-1]. */
    long readRegister64(int offset);

    /**
     * Writes a 32-bit register, or half of a 64-bit one [unit-write-thirty-two-1].
     *
     * @throws IllegalStateException when the unit's registers are written whole, as by default
     */
    default void writeRegister32(int offset, int value) {
        throw new IllegalStateException("the registers of unit " + spec().name() + " are written whole; written 0x"
                + Integer.toHexString(value) + " at offset 0x" + Integer.toHexString(offset));
    }

    /** Writes a 64-bit register [unit-write-sixty-four-1]. */
    void writeRegister64(int offset, long value);

    /**
     * Translates one request, and records a fault, if any, in the unit's fault log, once [unit-translate-1]. Allocates
     * nothing [unit-translate-2].
     *
     * @param sourceId unsigned 32 bits: what the unit's tables are indexed by, see {@link SourceIdRange}
     * @param pasid 0 to 2^20 - 1, or {@link #NO_PASID}
     * @param address the untranslated address, in bytes
     * @param flags {@link RequestFlags} READ or WRITE, and EXECUTE and PRIVILEGED; a unit ignores those of the last two
     *     that its tables have no rights for
     * @return a {@link Translation}; of a fault the manual's code, in 16 bits [unit-translate-3]
     */
    long translate(int sourceId, int pasid, long address, int flags);

    /**
     * Answers an ATS translation request: like {@link #translate}, for a device that keeps the answer [unit-ats-1].
     *
     * <p>A refusal that the manual makes an answer without rights is {@link #NOT_TRANSLATED} and no fault [unit-ats-2].
     *
     * @return a {@link Translation}, {@link #NOT_TRANSLATED}, or a fault when the unit takes no such requests
     */
    default long requestTranslation(int sourceId, int pasid, long address, int flags) {
        return NOT_TRANSLATED;
    }

    /**
     * Checks a request whose address the device translated itself by an earlier {@link #requestTranslation}.
     *
     * @return the {@link Translation} of the address to itself, or a recorded fault; a unit that grants no translation
     *     request may treat this like {@link #translate} [unit-pass-1]
     */
    default long passTranslated(int sourceId, int pasid, long address, int flags) {
        return translate(sourceId, pasid, address, flags);
    }

    /**
     * Takes the data of a write whose {@link Translation} is {@link Translation#consumed}, for example an interrupt
     * message for a memory-resident interrupt file [unit-consume-1]. Allocates nothing.
     *
     * @param translation the unit's own answer to the request
     * @param sourceId as in the request
     * @param pasid as in the request
     * @param address as in the request
     * @param flags as in the request: {@link RequestFlags} WRITE, and PRIVILEGED
     * @param data the bytes written, the first in bits 7:0
     * @param bytes how many there are, 4 or 8
     * @return 0, or the manual's code of the fault that the unit recorded
     * @throws IllegalStateException when the unit never gives that answer
     */
    default int consume(
            long translation, int sourceId, int pasid, long address, int flags, long data, int bytes) {
        throw new IllegalStateException(
                "unit " + spec().name() + " takes no writes: " + Translation.toString(translation) + " for 0x"
                        + Long.toHexString(address) + " with 0x" + Long.toHexString(data));
    }

    /**
     * Takes a page request message (PCIe PRI). It is posted: the unit looks at it in some later {@link #step}
     * [unit-page-1]. It answers a group by {@link Fabric#respondToPageRequest}, at most once [unit-page-2]. A unit
     * without page requests drops the message.
     *
     * @param sourceId unsigned 32 bits: what the unit's tables are indexed by, see {@link SourceIdRange}
     * @param pasid 0 to 2^20 - 1, or {@link #NO_PASID}
     * @param address of the page, aligned to 4096
     * @param flags {@link RequestFlags}: what the device wants to do with the page, and whether it is the last of its
     *     group
     * @param group the device's index of the group, 0 to 511
     */
    default void requestPage(int sourceId, int pasid, long address, int flags, int group) {}

    /**
     * Takes a device's completion message for invalidation requests that were answered {@link
     * InvalidationAnswer#LATER} [unit-complete-1]. A request that the unit does not wait for is refused
     * [unit-complete-2].
     *
     * @param sourceId the device that answers
     * @param tags the tags of the requests, a bit each
     * @param count how many messages the device sends for each request, 1 to 8
     * @return whether the message was expected
     */
    default boolean completeInvalidation(int sourceId, int tags, int count) {
        return false;
    }

    /**
     * Lets the time for the answers to invalidation requests run out; the unit does what it does when a device never
     * answers. Tags that are not outstanding are ignored [unit-time-out-1].
     *
     * @param tags the tags of the requests, a bit each
     */
    default void timeOutInvalidations(int tags) {}

    /**
     * Does one pending piece of work, such as one queued command, and returns whether there was any [unit-step-1].
     *
     * <p>Without new register writes and requests, steps come to an end [unit-step-2].
     */
    boolean step();

    /** Returns the unit to power-on: its digest is that of a new unit [unit-reset-1]. */
    void reset();

    /**
     * Adds all state that can influence the future to a digest: units that differ in it digest differently
     * [unit-digest-1].
     */
    void addTo(StateDigest digest);
}
