// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * A simulated IOMMU: registers on one side, requests on the other, tables behind it.
 *
 * <p>Writing a register never processes a queue; it makes work that {@link #step} does, one event at a time, so that
 * the machine decides when. Over a fabric with caches a unit belongs to the machine's one thread. Over a flat fabric
 * {@link #translate} runs on any thread without a lock, while registers and {@link #step} lock the unit.
 */
public interface TranslationUnit {
    /** No PASID: an ordinary request. */
    int NO_PASID = -1;

    /** The answer to a translation request that is granted nothing: no fault is recorded, the device asks again. */
    long NOT_TRANSLATED = Translation.fault(0);

    /** Returns what the unit was made from. */
    TranslationUnitSpec spec();

    /** Reads an 8-bit register, 0 to 0xff; a unit that has none gives the byte of its 32-bit register. */
    default int readRegister8(int offset) {
        return (readRegister32(offset & ~3) >>> (8 * (offset & 3))) & 0xff;
    }

    /** Reads a 16-bit register, 0 to 0xffff; a unit that has none gives the half of its 32-bit register. */
    default int readRegister16(int offset) {
        return (readRegister32(offset & ~3) >>> (8 * (offset & 3))) & 0xffff;
    }

    /** Reads a 32-bit register at an offset in bytes. */
    int readRegister32(int offset);

    /** Reads a 64-bit register. */
    long readRegister64(int offset);

    /**
     * Writes the low 8 bits of a value to an 8-bit register.
     *
     * @throws IllegalStateException when the unit has none
     */
    default void writeRegister8(int offset, int value) {
        throw new IllegalStateException("unit " + spec().name() + " has no 8-bit registers");
    }

    /**
     * Writes the low 16 bits of a value to a 16-bit register.
     *
     * @throws IllegalStateException when the unit has none
     */
    default void writeRegister16(int offset, int value) {
        throw new IllegalStateException("unit " + spec().name() + " has no 16-bit registers");
    }

    /** Writes a 32-bit register. */
    void writeRegister32(int offset, int value);

    /** Writes a 64-bit register. */
    void writeRegister64(int offset, long value);

    /**
     * Translates one request and records a fault, if any, in the unit's fault log. Allocates nothing.
     *
     * @param requesterId bus 15:8, device 7:3, function 2:0
     * @param pasid 0 to 2^20 - 1, or {@link #NO_PASID}
     * @param address the untranslated address, in bytes
     * @param write whether the request writes
     * @return a {@link Translation}
     */
    long translate(int requesterId, int pasid, long address, boolean write);

    /**
     * Answers an ATS translation request: like {@link #translate}, for a device that keeps the answer.
     *
     * <p>A refusal that the manual makes an answer without rights is {@link #NOT_TRANSLATED} and no fault.
     *
     * @return a {@link Translation}, {@link #NOT_TRANSLATED}, or a fault when the unit takes no such requests
     */
    default long requestTranslation(int requesterId, int pasid, long address, boolean write) {
        return NOT_TRANSLATED;
    }

    /**
     * Checks a request whose address the device translated itself by an earlier {@link #requestTranslation}.
     *
     * @return the {@link Translation} of the address to itself, or a recorded fault
     */
    default long passTranslated(int requesterId, int pasid, long address, boolean write) {
        return translate(requesterId, pasid, address, write);
    }

    /**
     * Takes a page request message (PCIe PRI). It is posted: the unit looks at it in some later {@link #step}, and
     * answers the group, if at all, by {@link Fabric#respondToPageRequest}. A unit without page requests drops it.
     *
     * @param requesterId bus 15:8, device 7:3, function 2:0
     * @param pasid 0 to 2^20 - 1, or {@link #NO_PASID}
     * @param address of the page, aligned to 4096
     * @param read whether the device wants to read the page
     * @param write whether the device wants to write the page
     * @param last whether it is the last of its group
     * @param group the device's index of the group, 0 to 511
     */
    default void requestPage(
            int requesterId, int pasid, long address, boolean read, boolean write, boolean last, int group) {}

    /** Does one pending piece of work, such as one queued command, and returns whether there was any. */
    boolean step();

    /** Returns the unit to power-on. */
    void reset();

    /** Adds all state that can influence the future to a digest. */
    void addTo(StateDigest digest);
}
