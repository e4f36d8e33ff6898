// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.trace;

/** The skeleton of the recorder. */
public final class Trace {
    /** Event flag: the device wished no-snoop. */
    public static final int NO_SNOOP_REQUESTED = 1;
    /** Event flag: the request carried no-snoop. */
    public static final int NO_SNOOP_SENT = 2;
    /** Event flag: the request carried no-snoop and the translation unit forced it to be snooped. */
    public static final int NO_SNOOP_BLOCKED = 4;
    /** Event flag: the access went past the caches. */
    public static final int UNSNOOPED = 8;
    /** Event flag: the access was refused; nothing was read or written. */
    public static final int FAULT = 16;
    /** Event flag: 4 bytes and not 8. */
    public static final int HALF = 32;
    /** Event flag: memory type UC. */
    public static final int UNCACHEABLE = 64;

    /** Makes a trace that is off and empty. */
    public Trace() {}

    /** Returns whether events are recorded. */
    public boolean isOn() {
        return false;
    }

    /** Starts recording, after what is there. */
    public void start() {}

    /** Stops recording. */
    public void stop() {}

    /** Forgets all events. */
    public void clear() {}

    /** Labels what CPUs do from now on, for example {@code vcpu0}; empty means {@code cpuN} again. */
    public void initiator(String label) {}

    /** Records a remark. */
    public void note(String text) {}

    /** Returns the number of events. */
    public int size() {
        return 0;
    }

    /** Returns what happened. */
    public TraceKind kind(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns who did it. */
    public String who(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns the CPU's number or the requester id. */
    public int source(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns the physical address. */
    public long address(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns the untranslated address of a device's access. */
    public long iova(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns the value read or written. */
    public long value(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns the flags. */
    public int flags(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns the fault code, 0 when there is none. */
    public int fault(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns a remark's text, empty for other events. */
    public String text(int event) {
        throw new IndexOutOfBoundsException(event);
    }

    /** Returns an event in words. */
    public String describe(int event) {
        throw new IndexOutOfBoundsException(event);
    }
}
