// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

/**
 * The promises of simulated silicon: its units, their registers, faults and state, and its reader of tables.
 *
 * <p>The vendor's driver sets the units up, so that the driver has to be on the path too.
 */
public abstract class SiliconConformance extends Conformance {
    /** Made by JUnit. */
    protected SiliconConformance() {}
}
