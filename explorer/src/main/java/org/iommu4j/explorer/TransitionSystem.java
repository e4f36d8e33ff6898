// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.List;

/**
 * A live world of states and actions: one initial state, and actions that lead from a state to exactly one other.
 *
 * <p>An implementation is one mutable object that is in one state at a time. The engine moves it about by {@link
 * #restore} and {@link #apply}, and tells states apart by {@link #fingerprint}. Promises, which {@link CheckedSystem}
 * checks while an exploration runs:
 * <ul>
 *   <li>everything that a later action or property can see is in the saved words, or follows from them;
 *   <li>an action's effect depends on the state alone: no clock, no chance, no order of earlier calls;
 *   <li>two states with the same words have the same fingerprint; two that differ in words have different ones, but
 *       for chance.
 * </ul>
 *
 * <p>A system belongs to one thread. Each worker has its own, opened by the same {@link WorldFactory}; words that one
 * saved are restored by another. Words may name by number a thing that all of them share (an interned large state), but
 * a fingerprint that depends on such numbers depends on the order of discovery, so that counts do.
 *
 * <p>No method that the engine calls once a transition allocates, in a good implementation.
 */
public interface TransitionSystem {
    /** The greatest number of actions that a system may have: {@value}. */
    int MAX_ACTIONS = 1 << 16;

    /** The greatest number of words that a saved state may have: {@value}, which is 128 bytes. */
    int MAX_WORDS = 16;

    /** Returns how many words a saved state takes, 1 to {@value #MAX_WORDS}; the same at every call. */
    int words();

    /** Returns how many actions there are, 0 to {@value #MAX_ACTIONS}; the same at every call. */
    int actions();

    /** Returns the properties that every state has to satisfy, in the order of their importance; constant. */
    default List<Property> properties() {
        return List.of();
    }

    /** Goes to the initial state. */
    void reset();

    /**
     * Lists the actions that are possible in the present state, in an order that depends on the state alone.
     *
     * @param into gets their ordinals, 0 to {@link #actions}{@code - 1}, each once; it has room for all actions
     * @return how many there are
     */
    int enabled(int[] into);

    /**
     * Performs an action. The result may be the state before; that is a transition as well.
     *
     * @param action its ordinal, of those that {@link #enabled} lists in the present state
     */
    void apply(int action);

    /**
     * Returns to the state before the last {@link #apply}. The default restores it; a system that logs what an action
     * changes can do so at less cost.
     *
     * @param saved has that state, as {@link #save} wrote it
     * @param at where it begins
     */
    default void undo(long[] saved, int at) {
        restore(saved, at);
    }

    /**
     * Returns a number that tells the present state from others. Its bits need not be spread: the engine mixes them by
     * a permutation.
     */
    long fingerprint();

    /** Returns whether different states never have the same fingerprint, as a state of one word can promise. */
    default boolean isFingerprintExact() {
        return false;
    }

    /**
     * Returns a fingerprint that all states share which a symmetry of the system makes equal, for example by the sum of
     * the signatures of processors that nothing names. An exploration with {@link Settings#symmetry} visits one state
     * of each such class. The symmetry must keep actions, their number and all properties. The default knows none.
     */
    default long canonicalFingerprint() {
        return fingerprint();
    }

    /**
     * Returns a second number that tells the present state from others, for an engine that visits so many states that
     * some would share their {@link #fingerprint} by chance. States that share one of the two numbers share the other
     * by chance alone. The default mixes the saved words by {@link #mixSecond}. A system whose words name shared things
     * by number has to mix what these are.
     */
    default long secondFingerprint() {
        long[] words = new long[words()];
        save(words, 0);
        long hash = words.length;
        for (long word : words) {
            hash = mixSecond(hash, word);
        }
        return hash;
    }

    /**
     * Returns the second number of the states that {@link #canonicalFingerprint} takes for one; equal for all of them.
     * The default is {@link #secondFingerprint}, which is right without symmetry. A system with symmetry that keeps the
     * default is explored in full by an engine of 128 bits: that takes longer, and misses nothing.
     */
    default long secondCanonicalFingerprint() {
        return secondFingerprint();
    }

    /**
     * Mixes a word into a second fingerprint. The mixing shares no step with the one that engines apply to the first.
     * For a given word it is a permutation of hashes, and for a given hash a permutation of words.
     *
     * @param hash of the words so far
     * @param word the next one
     */
    static long mixSecond(long hash, long word) {
        // The finalizer of Steele, Lea and Flood's SplitMix64, in David Stafford's 13th variant.
        long mixed = Long.rotateLeft(hash, 23) + 0x9E3779B97F4A7C15L ^ word;
        mixed = (mixed ^ mixed >>> 30) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ mixed >>> 27) * 0x94D049BB133111EBL;
        return mixed ^ mixed >>> 31;
    }

    /**
     * Writes the present state.
     *
     * @param into gets {@link #words} words
     * @param at the index of the first
     */
    void save(long[] into, int at);

    /**
     * Goes to a saved state, from any state.
     *
     * @param from has it, as this or another system of the same exploration wrote it
     * @param at the index of its first word
     */
    void restore(long[] from, int at);

    /** Returns whether the present state may stay as it is for ever; if not, one without actions is a violation. */
    default boolean mayRest() {
        return false;
    }

    /**
     * Returns what an action does, for people, as seen from the state in which it is about to be performed.
     *
     * @param action its ordinal
     */
    default String describe(int action) {
        return "action " + action;
    }

    /**
     * Goes to the initial state, and then along a path.
     *
     * @param path ordinals of actions, the first to be performed first
     * @throws IllegalStateException if an action is not enabled where it stands; the system is then in that state
     */
    default void replay(int[] path) {
        int[] enabled = new int[actions()];
        reset();
        for (int step = 0; step < path.length; step++) {
            int count = enabled(enabled);
            boolean found = false;
            for (int i = 0; i < count; i++) {
                found |= enabled[i] == path[step];
            }
            if (!found) {
                throw new IllegalStateException("step " + step + " is not possible there: " + path[step]);
            }
            apply(path[step]);
        }
    }
}
