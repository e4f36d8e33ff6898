// SPDX-License-Identifier: Apache-2.0

/** The silicon of an example vendor; it exports only the provider that {@link java.util.ServiceLoader} finds. */
@org.jspecify.annotations.NullMarked
module com.example.minimal.sim {
    requires transitive org.iommu4j.sim;
    requires static org.jspecify;

    exports com.example.minimal.sim;

    provides org.iommu4j.sim.spi.TranslationUnitProvider with
            com.example.minimal.sim.MinimalSilicon;
}
