// SPDX-License-Identifier: Apache-2.0

/**
 * All orders of events of a transition system, breadth first, and the shortest way to a violation.
 *
 * <p>Start at {@link org.iommu4j.explorer.TransitionSystem}, which a caller writes, and at {@link
 * org.iommu4j.explorer.Exploration}, which explores it. The module knows nothing of IOMMUs.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.explorer {
    requires static transitive org.jspecify;

    exports org.iommu4j.explorer;

    uses org.iommu4j.explorer.ExplorationEngine;

    provides org.iommu4j.explorer.ExplorationEngine with
            org.iommu4j.explorer.LocalEngine;
}
