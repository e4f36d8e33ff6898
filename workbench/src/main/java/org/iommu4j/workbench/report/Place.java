// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

/**
 * A place where a value is, or from where it is asked for: a lane of a picture.
 *
 * @param kind what it is; the order of kinds is the order of lanes
 * @param number of the CPU whose cache it is; of others their order of appearance
 * @param name the name for people
 */
record Place(Kind kind, int number, String name) implements Comparable<Place> {
    /** What a place is, from the CPUs to the devices. */
    enum Kind {
        /** A CPU or a vCPU, or what runs there. */
        ACTOR,
        /** A CPU's write-combining buffers. */
        BUFFER,
        /** A CPU's own caches. */
        CACHE,
        /** The cache that CPUs share. */
        SHARED_CACHE,
        /** Memory. */
        MEMORY,
        /** A device. */
        DEVICE
    }

    /** Memory, of which there is one. */
    static final Place MEMORY = new Place(Kind.MEMORY, 0, "memory");

    /**
     * Returns a cache.
     *
     * @param cpu the CPU whose own it is, -1 for the shared one
     */
    static Place cache(int cpu) {
        return cpu < 0
                ? new Place(Kind.SHARED_CACHE, 0, "shared cache")
                : new Place(Kind.CACHE, cpu, "cache of cpu" + cpu);
    }

    /** Returns a CPU's write-combining buffers. */
    static Place buffer(int cpu) {
        return new Place(Kind.BUFFER, cpu, "write-combining buffer of cpu" + cpu);
    }

    boolean isCache() {
        return kind == Kind.CACHE || kind == Kind.SHARED_CACHE;
    }

    /** Returns the name as a part of a sentence. */
    String inWords() {
        return isCache() || kind == Kind.BUFFER ? "the " + name : name;
    }

    @Override
    public int compareTo(Place other) {
        int byKind = kind.compareTo(other.kind);
        return byKind == 0 ? Integer.compare(number, other.number) : byKind;
    }
}
