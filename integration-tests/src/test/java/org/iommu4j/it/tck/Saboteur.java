// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.iommu4j.Iommu;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;

/**
 * Breaks one promise of a driver, its silicon or its ports.
 *
 * @param promise the id of the promise that the kit has to name
 * @param about what it does, for the display name: "grants writing where only reading was asked for"
 * @param sabotage returns the broken subject; called once for each run, so that its state is fresh
 * @param applies on which subjects there is something to break
 */
record Saboteur(String promise, String about, UnaryOperator<Subject> sabotage, Predicate<Subject> applies) {
    /** Makes a saboteur of calls, with state that is made anew for each run. */
    static Saboteur of(String promise, String about, Supplier<List<Interposer.Change>> changes) {
        return new Saboteur(promise, about, subject -> new Interposer(changes.get()).between(subject), subject -> true);
    }

    /** Makes a saboteur of the calls of one method. */
    static Saboteur of(String promise, String about, Class<?> type, String method, Interposer.Handler handler) {
        return of(promise, about, () -> List.of(new Interposer.Change(type, method, handler)));
    }

    /** Makes a saboteur of the calls of one method, with state that is made anew for each run. */
    static Saboteur with(
            String promise, String about, Class<?> type, String method, Supplier<Interposer.Handler> handler) {
        return of(promise, about, () -> List.of(new Interposer.Change(type, method, handler.get())));
    }

    /** Makes a saboteur of the calls of one method, from when a driver is closed. */
    static Saboteur onceClosed(String promise, String about, Class<?> type, String method, Interposer.Handler handler) {
        return of(promise, about, () -> {
            AtomicBoolean closed = new AtomicBoolean();
            return List.of(
                    new Interposer.Change(Iommu.class, "close", Handlers.noting(closed)),
                    new Interposer.Change(type, method, Handlers.when(call -> closed.get(), handler)));
        });
    }

    /** Returns the same, for subjects that have some abilities. */
    Saboteur where(Ability... needed) {
        return where(traits -> List.of(needed).stream().allMatch(traits::has));
    }

    /** Returns the same, for some subjects. */
    Saboteur where(Predicate<Traits> condition) {
        return on(subject -> condition.test(subject.traits()));
    }

    /** Returns the same, for subjects that {@link Offers} something. */
    Saboteur on(Predicate<Subject> condition) {
        return new Saboteur(promise, about, sabotage, applies.and(condition));
    }

    /** Returns saboteurs of several lists. */
    @SafeVarargs
    static List<Saboteur> all(List<Saboteur>... lists) {
        List<Saboteur> all = new ArrayList<>();
        for (List<Saboteur> list : lists) {
            all.addAll(list);
        }
        return List.copyOf(all);
    }

    @Override
    public String toString() {
        return "[" + promise + "] " + about;
    }
}
