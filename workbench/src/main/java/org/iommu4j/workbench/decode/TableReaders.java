// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnitProvider;

/** Finds the silicon that understands a dump. */
public final class TableReaders {
    private TableReaders() {}

    /**
     * Asks every provider.
     *
     * @param source where the registers are from, for messages
     * @throws InputException when none recognises its unit, more than one does, or the one that does lacks what it
     *     needs
     */
    public static TableReader choose(
            String source, Collection<TranslationUnitProvider> providers, RegisterDump registers, Fabric memory) {
        List<TableReader> readers = new ArrayList<>();
        List<String> recognised = new ArrayList<>();
        List<String> tried = new ArrayList<>();
        List<String> refusals = new ArrayList<>();
        for (TranslationUnitProvider provider : providers) {
            tried.add(provider.name());
            try {
                Optional<TableReader> reader = provider.reader(registers, memory);
                if (reader.isPresent()) {
                    readers.add(reader.get());
                    recognised.add(provider.name());
                }
            } catch (IllegalArgumentException e) {
                refusals.add(provider.name() + ": " + e.getMessage());
            }
        }
        if (readers.size() > 1) {
            throw new InputException(source + ": could be registers of " + String.join(" and of ", recognised)
                    + ", expected more registers to decide");
        }
        if (readers.size() == 1) {
            return readers.get(0);
        }
        if (!refusals.isEmpty()) {
            throw new InputException(source + ": " + String.join("; ", refusals));
        }
        throw new InputException(
                source + ": no registers of a known translation unit; tried: " + String.join(", ", tried));
    }
}
