// SPDX-License-Identifier: Apache-2.0

/** The silicon of an example vendor, which {@link java.util.ServiceLoader} finds; it exports nothing. */
@org.jspecify.annotations.NullMarked
module com.example.minimal.sim {
    requires transitive org.iommu4j.sim;
    requires static org.jspecify;

    provides org.iommu4j.sim.spi.TranslationUnitProvider with
            com.example.minimal.sim.MinimalSilicon;
}
