// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;

/**
 * What a driver makes of one machine, as its vendor says it: the kit holds the driver to it.
 *
 * <p>Made by {@link #builder}. What is not said has the default of an ordinary unit.
 *
 * @param granule smallest page of a paging domain, in bytes; a power of two of at least 4096
 * @param addressBits bits of the last IOVA that can be mapped; the aperture ends at {@code 2^addressBits - 1}
 * @param firstIova first IOVA that can be mapped, aligned to the granule
 * @param physicalBits bits of the physical addresses that tables hold; a wider one is refused with ERANGE
 * @param whileOff what the unit does with requests while translation is off
 * @param tables where tables are
 * @param enforcement what a domain answers when it is asked to block no-snoop
 * @param snoopedWalks whether the unit snoops the CPU caches when it walks; if not, the driver has to write back
 * @param directRegions by device, memory that firmware has mapped one to one, with that mapping's rights; sorted by
 *     start, and a device that is not named has none
 * @param abilities what the driver and its unit can do
 * @param walk a walk of the tables that is independent of the silicon, as a second witness
 * @param guestTables what a guest does; there when domains nest
 */
public record Traits(
        long granule,
        int addressBits,
        long firstIova,
        int physicalBits,
        WhileOff whileOff,
        Tables tables,
        Enforcement enforcement,
        boolean snoopedWalks,
        Map<DeviceId, List<ReservedRegion>> directRegions,
        Set<Ability> abilities,
        Optional<TableWalk> walk,
        Optional<GuestTables> guestTables) {

    /** What a unit does with requests while translation is off. */
    public enum WhileOff {
        /** They pass with their addresses unchanged. */
        PASSES,
        /** They are refused. */
        BLOCKS
    }

    /** Where a domain's tables are. */
    public enum Tables {
        /** In frames that the driver allocates. */
        IN_FRAMES,
        /** In the unit. */
        IN_DEVICE
    }

    /** What a domain answers when it is asked to block no-snoop: Linux's optional op. */
    public enum Enforcement {
        /** There is no such control. */
        ABSENT,
        /** It is there and answers that it can't. */
        REFUSED,
        /** It is there and does, from then on. */
        GRANTED,
        /** It is there, and no-snoop is blocked whether anybody asks or not. */
        UNCONDITIONAL,
        /** It is there and answers that it does, and no-snoop passes all the same, as that release of Linux has it. */
        PRETENDED;

        /** Returns what the domain answers; false without a control. */
        public boolean answer() {
            return isKept() || this == PRETENDED;
        }

        /** Returns whether no-snoop is blocked once the domain was asked. */
        public boolean isKept() {
            return this == GRANTED || this == UNCONDITIONAL;
        }
    }

    /**
     * Copies the abilities and adds those that they imply.
     *
     * @throws IllegalArgumentException when a number makes no sense
     */
    public Traits {
        Objects.requireNonNull(whileOff, "whileOff");
        Objects.requireNonNull(tables, "tables");
        Objects.requireNonNull(enforcement, "enforcement");
        Objects.requireNonNull(walk, "walk");
        Objects.requireNonNull(guestTables, "guestTables");
        if (abilities.contains(Ability.NESTING) != guestTables.isPresent()) {
            throw new IllegalArgumentException("NESTING is said together with guest tables, or neither is");
        }
        if (granule < 4096 || Long.bitCount(granule) != 1) {
            throw new IllegalArgumentException("granule " + granule + ", expected a power of two of at least 4096");
        }
        if (addressBits < 31 || addressBits > 64) {
            throw new IllegalArgumentException("address bits " + addressBits + ", expected 31 to 64");
        }
        if (physicalBits < 32 || physicalBits > 64) {
            throw new IllegalArgumentException("physical bits " + physicalBits + ", expected 32 to 64");
        }
        if ((firstIova & (granule - 1)) != 0) {
            throw new IllegalArgumentException(
                    "first IOVA 0x" + Long.toHexString(firstIova) + ", expected alignment to the granule");
        }
        EnumSet<Ability> all = EnumSet.noneOf(Ability.class);
        for (Ability ability : abilities) {
            all.add(ability);
            all.addAll(ability.implied());
        }
        if (enforcement != Enforcement.ABSENT) {
            all.add(Ability.ENFORCEMENT);
        } else if (all.contains(Ability.ENFORCEMENT)) {
            throw new IllegalArgumentException("ENFORCEMENT is said by the trait enforcement, which is ABSENT");
        }
        if (directRegions.values().stream()
                .flatMap(List::stream)
                .anyMatch(region -> !region.type().mapped())) {
            throw new IllegalArgumentException("direct regions " + directRegions + ", expected types that are mapped");
        }
        directRegions = Map.copyOf(directRegions);
        if (!directRegions.isEmpty()) {
            all.add(Ability.DIRECT_REGIONS);
        } else if (all.contains(Ability.DIRECT_REGIONS)) {
            throw new IllegalArgumentException("DIRECT_REGIONS is said by the trait directRegions, which is empty");
        }
        abilities = Set.copyOf(all);
    }

    /** Returns whether the driver and its unit can do something. */
    public boolean has(Ability ability) {
        return abilities.contains(ability);
    }

    /** Returns whether a device has memory that must always stay mapped one to one. */
    public boolean isDirect(DeviceId device) {
        return directRegions.getOrDefault(device, List.of()).stream()
                .anyMatch(region -> region.type() == ReservedRegion.Type.DIRECT);
    }

    /** Returns the last IOVA that can be mapped, inclusive. */
    public long lastIova() {
        return addressBits == 64 ? -1L : (1L << addressBits) - 1;
    }

    /** Returns a builder for an ordinary unit: 4 KiB, 48 address bits, tables in frames, no ability. */
    public static Builder builder() {
        return new Builder();
    }

    /** Returns a builder that starts with these traits. */
    public Builder with() {
        Builder builder = new Builder();
        builder.granule = granule;
        builder.addressBits = addressBits;
        builder.firstIova = firstIova;
        builder.physicalBits = physicalBits;
        builder.whileOff = whileOff;
        builder.tables = tables;
        builder.enforcement = enforcement;
        builder.snoopedWalks = snoopedWalks;
        builder.abilities.addAll(abilities);
        builder.directRegions.putAll(directRegions);
        builder.abilities.removeAll(Set.of(Ability.ENFORCEMENT, Ability.DIRECT_REGIONS));
        builder.walk = walk;
        builder.guestTables = guestTables;
        return builder;
    }

    /** Collects traits. */
    public static final class Builder {
        private long granule = 4096;
        private int addressBits = 48;
        private long firstIova;
        private int physicalBits = 52;
        private WhileOff whileOff = WhileOff.PASSES;
        private Tables tables = Tables.IN_FRAMES;
        private Enforcement enforcement = Enforcement.ABSENT;
        private boolean snoopedWalks = true;
        private final Map<DeviceId, List<ReservedRegion>> directRegions = new HashMap<>();
        private final EnumSet<Ability> abilities = EnumSet.noneOf(Ability.class);
        private Optional<TableWalk> walk = Optional.empty();
        private Optional<GuestTables> guestTables = Optional.empty();

        private Builder() {}

        /** Sets the smallest page, in bytes. */
        public Builder granule(long bytes) {
            granule = bytes;
            return this;
        }

        /** Sets the bits of the last IOVA. */
        public Builder addressBits(int bits) {
            addressBits = bits;
            return this;
        }

        /** Sets the first IOVA. */
        public Builder firstIova(long iova) {
            firstIova = iova;
            return this;
        }

        /** Sets the bits of physical addresses. */
        public Builder physicalBits(int bits) {
            physicalBits = bits;
            return this;
        }

        /** Sets what happens to requests while translation is off. */
        public Builder whileOff(WhileOff value) {
            whileOff = value;
            return this;
        }

        /** Sets where tables are. */
        public Builder tables(Tables value) {
            tables = value;
            return this;
        }

        /** Sets what a domain answers when it is asked to block no-snoop. */
        public Builder enforcement(Enforcement value) {
            enforcement = value;
            return this;
        }

        /** Sets whether the unit snoops the CPU caches when it walks. */
        public Builder snoopedWalks(boolean value) {
            snoopedWalks = value;
            return this;
        }

        /** Says what memory firmware has mapped one to one for a device, sorted by start. */
        public Builder directRegions(DeviceId device, ReservedRegion... regions) {
            directRegions.put(device, List.of(regions));
            return this;
        }

        /** Adds abilities. */
        public Builder can(Ability... more) {
            abilities.addAll(Set.of(more));
            return this;
        }

        /** Sets the second witness. */
        public Builder walk(TableWalk value) {
            walk = Optional.of(value);
            return this;
        }

        /** Says that domains nest, below tables that such a guest writes. */
        public Builder nests(GuestTables guest) {
            guestTables = Optional.of(guest);
            return can(Ability.NESTING);
        }

        /**
         * Makes the traits.
         *
         * @throws IllegalArgumentException when a number makes no sense
         */
        public Traits build() {
            return new Traits(
                    granule,
                    addressBits,
                    firstIova,
                    physicalBits,
                    whileOff,
                    tables,
                    enforcement,
                    snoopedWalks,
                    directRegions,
                    abilities,
                    walk,
                    guestTables);
        }
    }
}
