// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/** A provider whose units are made by something else, which is given the provider that would make them. */
record ProviderOver(TranslationUnitProvider provider, Subject.UnitMaker maker) implements TranslationUnitProvider {
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
        return maker.create(provider, spec, fabric);
    }
}
