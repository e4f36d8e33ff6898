// SPDX-License-Identifier: Apache-2.0

/** Shared by all modules' tests: data from outside the repository, and the report of the witnesses that a build had. */
@org.jspecify.annotations.NullMarked
module org.iommu4j.witness {
    requires static transitive org.jspecify;
    requires transitive org.junit.jupiter.api;
    requires transitive org.junit.platform.launcher;
    requires transitive org.opentest4j;

    exports org.iommu4j.witness;

    provides org.junit.platform.launcher.LauncherSessionListener with
            org.iommu4j.witness.WitnessReport;
}
