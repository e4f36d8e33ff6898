// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/** A provider whose units get other fabrics than the machine's. */
record ProviderOver(TranslationUnitProvider provider, UnaryOperator<Fabric> fabrics)
        implements TranslationUnitProvider {
    @Override
    public String name() {
        return provider.name();
    }

    @Override
    public List<MachineDescription> machines() {
        return provider.machines();
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        return provider.recognise(name, attributes, known, firmware);
    }

    @Override
    public Optional<TableReader> reader(RegisterDump registers, Fabric memory) {
        return provider.reader(registers, memory);
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        return provider.create(spec, fabrics.apply(fabric));
    }
}
