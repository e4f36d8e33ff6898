// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.iommu4j.pci.PciAddress;

/**
 * Which functions inputs list, and whether those that one lists are there for the others.
 *
 * <p>A listing that has the host bridge 00:00.0 is taken for one of the whole host: a function that it does not have is
 * not there. One without is of a part, and says nothing of other functions. What only a kernel log names was there at
 * boot.
 */
final class Listings {
    /** What a listing is of. */
    enum Kind {
        /** All functions of a host. */
        FUNCTIONS,
        /** Those that are in a group, which not all are. */
        GROUPS
    }

    private static final PciAddress HOST_BRIDGE = new PciAddress(0, 0, 0, 0);

    private record Listing(Kind kind, Source source, Set<PciAddress> functions) {
        boolean has(PciAddress function) {
            return functions.contains(function);
        }

        boolean isWhole() {
            return has(HOST_BRIDGE);
        }
    }

    private final List<Listing> listings = new ArrayList<>();

    void add(Kind kind, Collection<PciAddress> functions, Source source) {
        listings.add(new Listing(kind, source, new HashSet<>(functions)));
    }

    /**
     * Returns whether the most believed listing of all functions does not have one, so that it is not there.
     *
     * @param warnings is told where it is in another, or is missing in one that is less believed
     */
    boolean isAbsent(PciAddress function, Consumer<Supplier<String>> warnings) {
        Optional<Listing> lacking = lacking(function);
        Optional<Listing> having = having(function);
        if (lacking.isEmpty()) {
            return false;
        }
        Source without = lacking.get().source();
        if (having.isEmpty()) {
            warnings.accept(() -> function + " is not in " + without + ", which lists the whole host, and is left out");
            return true;
        }
        Source with = having.get().source();
        int order = without.rank().compareTo(with.rank());
        if (order < 0) {
            warnings.accept(() -> function + " is in " + with + " and not in " + without
                    + ", which takes precedence: it is left out");
        } else if (order > 0) {
            warnings.accept(() ->
                    function + " is in " + with + ", which takes precedence over " + without + ", where it is not");
        }
        return order < 0;
    }

    /** Returns what to say of a function that of two listings of one rank one has and the other should have. */
    Optional<String> contradiction(PciAddress function) {
        Optional<Listing> having = having(function);
        return having.flatMap(with -> lacking(function)
                .filter(without -> without.source().rank() == with.source().rank())
                .map(without -> function + " is in " + with.source() + " and not in " + without.source()
                        + ", which lists the whole host: taken as unknown"));
    }

    private Optional<Listing> having(PciAddress function) {
        return first(listing -> listing.has(function));
    }

    /** A listing of groups lacks only what another listing of groups has. */
    private Optional<Listing> lacking(PciAddress function) {
        boolean grouped = listings.stream().anyMatch(listing -> listing.kind() == Kind.GROUPS && listing.has(function));
        return first(listing ->
                listing.isWhole() && !listing.has(function) && (listing.kind() == Kind.FUNCTIONS || grouped));
    }

    private Optional<Listing> first(Predicate<Listing> which) {
        return listings.stream()
                .filter(which)
                .min((one, other) ->
                        one.source().rank().compareTo(other.source().rank()));
    }
}
