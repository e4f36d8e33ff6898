// SPDX-License-Identifier: Apache-2.0

/** What all modules' tests share: data from outside the repository, and the account of which witnesses a build had. */
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
