// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import org.iommu4j.platform.ConfigSpace;
import org.iommu4j.platform.PciAddress;

/** A device that makes requests. */
public final class Endpoint {
    Endpoint() {}

    /** Returns where it is. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public PciAddress address() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns its configuration space, with write masks. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public ConfigSpace config() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Reads a word; all ones when refused, see {@link #lastFault}. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long read(long iova, boolean noSnoop) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Writes a word and returns whether it was accepted. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public boolean write(long iova, long value, boolean noSnoop) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the fault code of the last request, 0 when it was not a translation fault. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public int lastFault() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Runs a program up to its first refused request. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public DmaProgram.Result run(DmaProgram program) {
        throw new UnsupportedOperationException("skeleton");
    }
}
