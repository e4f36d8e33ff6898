// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

/** Makes random sequences of one interface's calls: most begin as programs do. */
final class RandomSequences {
    private static final long[] LIMITS = {
        0, 4 * SequenceDraft.PAGE, 16 * SequenceDraft.PAGE, 64 * SequenceDraft.PAGE, 8 << 20
    };

    private final SequenceDraft draft;
    private final RandomCalls random;

    /**
     * Makes sequences.
     *
     * @param draft where the calls are added
     * @param random adds them
     */
    RandomSequences(SequenceDraft draft, RandomCalls random) {
        this.draft = draft;
        this.random = random;
    }

    /** Returns the next sequence, of up to {@code most} calls behind its beginning. */
    VfioSequence next(int most) {
        draft.clear();
        if (draft.chance(90)) {
            random.begin();
        }
        int length = draft.calls().size() + 1 + draft.below(most);
        while (draft.calls().size() < length) {
            random.add();
        }
        return new VfioSequence(draft.oneOf(LIMITS), draft.coin(), draft.calls());
    }
}
