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
 * The functions that inputs list, and whether a function exists that some inputs list and others do not.
 *
 * <p>A listing with the host bridge 00:00.0 covers the whole host: a function that it lacks does not exist. A listing
 * without it covers a part, and states nothing about other functions. A function that only a kernel log names existed
 * at boot.
 */
final class Listings {
    /** The functions that a listing covers. */
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
     * Returns whether the listing of all functions with the highest rank lacks a function, so that it does not exist.
     *
     * @param warnings receives a line where another listing has it, or where one of lower rank lacks it
     */
    boolean isAbsent(PciAddress function, Consumer<Supplier<String>> warnings) {
        Optional<Listing> lacking = lacking(function);
        Optional<Listing> having = having(function);
        if (lacking.isEmpty()) {
            return false;
        }
        Source without = lacking.get().source();
        if (having.isEmpty()) {
            warnings.accept(() -> function + " is not in " + without + ", which lists the whole host, and is ignored");
            return true;
        }
        Source with = having.get().source();
        int order = without.rank().compareTo(with.rank());
        if (order < 0) {
            warnings.accept(() ->
                    function + " is in " + with + " and not in " + without + ", which takes precedence: it is ignored");
        } else if (order > 0) {
            warnings.accept(() ->
                    function + " is in " + with + ", which takes precedence over " + without + ", which lacks it");
        }
        return order < 0;
    }

    /** Returns a line about a function that one listing has and another of the same rank lacks, if there are two. */
    Optional<String> contradiction(PciAddress function) {
        Optional<Listing> having = having(function);
        return having.flatMap(with -> lacking(function)
                .filter(without -> without.source().rank() == with.source().rank())
                .map(without -> function + " is in " + with.source() + " and not in " + without.source()
                        + ", which lists the whole host: treated as unknown"));
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
