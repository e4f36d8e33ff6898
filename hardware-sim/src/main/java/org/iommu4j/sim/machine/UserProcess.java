// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import org.iommu4j.platform.ProcessMemory;

/** A user process. */
public final class UserProcess implements ProcessMemory {
    UserProcess() {}

    /** Backs pages with frames and returns the physical address of the first. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long allocate(long virtualAddress, int pages, boolean writable) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Gives pages back; pinned ones when their last pin goes. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void free(long virtualAddress, int pages) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long translate(long virtualAddress) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void pin(long virtualAddress, int count, boolean write, long[] frames) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void unpin(long frame, boolean dirty) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long pinned() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void charge(long pages) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void uncharge(long pages) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** {@inheritDoc} */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long charged() {
        throw new UnsupportedOperationException("skeleton");
    }
}
