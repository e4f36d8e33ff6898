// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;

/**
 * What a unit can do, in words that hold for every vendor.
 *
 * @param blocksNoSnoop it can block no-snoop for a domain
 * @param coherentWalk it walks its tables through the CPU caches
 * @param interruptRemapping it can remap interrupts
 * @param firstStage it walks tables in the processor's format, as processes and guests have them
 * @param secondStage it walks tables in its own format
 * @param nested it walks the one over the other
 * @param pasid it tells processes of one device apart
 * @param dirtyTracking it notes in its tables which pages were written
 * @param pageSizes sizes of second-stage pages as a bitmap of bytes, 0 where not known
 * @param levels most levels of a second-stage table, 0 where not known
 * @param addressWidth bits of an address that it translates, 0 where not known
 */
public record UnitAbilities(
        Answer blocksNoSnoop,
        Answer coherentWalk,
        Answer interruptRemapping,
        Answer firstStage,
        Answer secondStage,
        Answer nested,
        Answer pasid,
        Answer dirtyTracking,
        long pageSizes,
        int levels,
        int addressWidth) {
    /** The abilities of a unit whose registers were not read. */
    public static final UnitAbilities UNKNOWN = new UnitAbilities(
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            Answer.UNKNOWN,
            0,
            0,
            0);

    /** Returns the same abilities but for one. */
    public UnitAbilities blockingNoSnoop(Answer answer) {
        return new UnitAbilities(
                answer,
                coherentWalk,
                interruptRemapping,
                firstStage,
                secondStage,
                nested,
                pasid,
                dirtyTracking,
                pageSizes,
                levels,
                addressWidth);
    }

    /** Refuses what is missing. */
    public UnitAbilities {
        Objects.requireNonNull(blocksNoSnoop, "blocksNoSnoop");
        Objects.requireNonNull(coherentWalk, "coherentWalk");
        Objects.requireNonNull(interruptRemapping, "interruptRemapping");
        Objects.requireNonNull(firstStage, "firstStage");
        Objects.requireNonNull(secondStage, "secondStage");
        Objects.requireNonNull(nested, "nested");
        Objects.requireNonNull(pasid, "pasid");
        Objects.requireNonNull(dirtyTracking, "dirtyTracking");
    }
}
