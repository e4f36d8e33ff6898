// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.tck.silicon.FabricContract;
import org.iommu4j.tck.silicon.ProviderContract;
import org.iommu4j.tck.silicon.RegisterContract;
import org.iommu4j.tck.silicon.TableReaderContract;
import org.iommu4j.tck.silicon.UnitContract;
import org.iommu4j.tck.silicon.UnitStateContract;
import org.iommu4j.tck.silicon.UnitTranslationContract;
import org.junit.jupiter.api.Nested;

/**
 * The promises of simulated silicon: its units, their registers, faults and state, and its reader of tables.
 *
 * <p>The vendor's driver sets the units up, so that the driver has to be on the path too.
 */
public abstract class SiliconConformance extends Conformance {
    /** Made by JUnit. */
    protected SiliconConformance() {}

    /** {@link org.iommu4j.sim.spi.TranslationUnit}: steps, memory, threads. */
    @Nested
    class Units extends UnitContract {}

    /** The state of a unit as a whole. */
    @Nested
    class UnitStates extends UnitStateContract {}

    /** A unit's registers. */
    @Nested
    class Registers extends RegisterContract {}

    /** What a unit answers to requests. */
    @Nested
    class Translations extends UnitTranslationContract {}

    /** {@link org.iommu4j.sim.spi.TranslationUnitProvider}. */
    @Nested
    class Providers extends ProviderContract {}

    /** {@link org.iommu4j.sim.spi.TableReader}. */
    @Nested
    class Readers extends TableReaderContract {}

    /** {@link org.iommu4j.sim.spi.Fabric}, as a unit uses it. */
    @Nested
    class Fabrics extends FabricContract {}
}
