// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Arrays;
import java.util.List;

/**
 * A system that checks after every action whether another one keeps its promises, for tests.
 *
 * <p>After each {@link #apply} the state is saved, disturbed by one more action, and restored. Its words, its
 * fingerprints, its enabled actions and its properties then have to be those from before. The same action from the same
 * saved state has to lead to the same words again. After each {@link #undo} the words have to be the saved ones.
 */
public final class CheckedSystem implements TransitionSystem {
    private final TransitionSystem system;
    private final long[] before;
    private final long[] after;
    private final long[] again;
    private final int[] enabled;
    private final int[] enabledAgain;

    /** Checks a system, which from now on moves only through this. */
    public CheckedSystem(TransitionSystem system) {
        this.system = system;
        before = new long[system.words()];
        after = new long[system.words()];
        again = new long[system.words()];
        enabled = new int[system.actions()];
        enabledAgain = new int[system.actions()];
    }

    @Override
    public int words() {
        return system.words();
    }

    @Override
    public int actions() {
        return system.actions();
    }

    @Override
    public List<Property> properties() {
        return system.properties();
    }

    @Override
    public void reset() {
        system.reset();
    }

    @Override
    public int enabled(int[] into) {
        return system.enabled(into);
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalStateException if the system breaks a promise; the message says which, and at which action
     */
    @Override
    public void apply(int action) {
        system.save(before, 0);
        system.apply(action);
        system.save(after, 0);
        long fingerprint = system.fingerprint();
        long canonical = system.canonicalFingerprint();
        long second = system.secondFingerprint();
        long secondCanonical = system.secondCanonicalFingerprint();
        int count = system.enabled(enabled);
        boolean rests = system.mayRest();
        long holding = holding();
        if (count > 0) {
            system.apply(enabled[count - 1]);
        }
        system.restore(after, 0);
        require(wordsAre(after), "the words restored are not those saved", action);
        require(system.fingerprint() == fingerprint, "the fingerprint changes by a restore", action);
        require(system.canonicalFingerprint() == canonical, "the canonical fingerprint changes by a restore", action);
        require(
                system.secondFingerprint() == second && system.secondCanonicalFingerprint() == secondCanonical,
                "the second fingerprint changes by a restore",
                action);
        require(
                system.enabled(enabledAgain) == count
                        && Arrays.equals(enabled, 0, count, enabledAgain, 0, count)
                        && system.mayRest() == rests,
                "the enabled actions change by a restore",
                action);
        require(holding() == holding, "a property changes by a restore", action);
        system.restore(before, 0);
        system.apply(action);
        require(wordsAre(after), "the same action leads elsewhere the second time", action);
        require(
                system.fingerprint() == fingerprint && system.secondFingerprint() == second,
                "the same action leads to another fingerprint",
                action);
    }

    @Override
    public void undo(long[] saved, int at) {
        system.undo(saved, at);
        system.save(again, 0);
        require(
                Arrays.equals(again, 0, again.length, saved, at, at + again.length),
                "undo does not return to the words saved",
                -1);
    }

    @Override
    public long fingerprint() {
        return system.fingerprint();
    }

    @Override
    public boolean isFingerprintExact() {
        return system.isFingerprintExact();
    }

    @Override
    public long canonicalFingerprint() {
        return system.canonicalFingerprint();
    }

    @Override
    public long secondFingerprint() {
        return system.secondFingerprint();
    }

    @Override
    public long secondCanonicalFingerprint() {
        return system.secondCanonicalFingerprint();
    }

    @Override
    public void save(long[] into, int at) {
        system.save(into, at);
    }

    @Override
    public void restore(long[] from, int at) {
        system.restore(from, at);
    }

    @Override
    public boolean mayRest() {
        return system.mayRest();
    }

    @Override
    public String describe(int action) {
        return system.describe(action);
    }

    private boolean wordsAre(long[] expected) {
        system.save(again, 0);
        return Arrays.equals(again, expected);
    }

    /** Returns which of the first 64 properties hold. */
    private long holding() {
        long holding = 0;
        int bit = 0;
        for (Property property : system.properties()) {
            holding |= property.holds() ? 1L << bit : 0;
            bit++;
        }
        return holding;
    }

    private void require(boolean kept, String broken, int action) {
        if (!kept) {
            throw new IllegalStateException(broken + (action < 0 ? "" : ": " + system.describe(action)));
        }
    }
}
