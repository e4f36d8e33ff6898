// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** AMD-Vi translation units, {@code amdvi}, and the built-in machine {@code amd}. */
public final class AmdViUnitProvider implements TranslationUnitProvider {
    /** Makes the provider, for {@link java.util.ServiceLoader}. */
    public AmdViUnitProvider() {}

    @Override
    public String name() {
        return "amdvi";
    }

    @Override
    public List<MachineDescription> machines() {
        return List.of();
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, FirmwareTables firmware) {
        return Optional.empty();
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        throw new IllegalArgumentException("unit " + spec.name() + " can't be built yet");
    }
}
