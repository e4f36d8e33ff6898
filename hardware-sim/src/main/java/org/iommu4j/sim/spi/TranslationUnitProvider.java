// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.ShownUnit;

/**
 * A vendor's silicon, as {@link java.util.ServiceLoader} finds it.
 *
 * <p>Implementations have a public constructor without parameters and no state [silicon-1].
 */
public interface TranslationUnitProvider {
    /** Returns the silicon's name, of the characters a to z and 0 to 9, for example {@code vtd} [silicon-name-1]. */
    String name();

    /**
     * Returns the built-in machines with this vendor's units, each with the firmware tables that describe them.
     *
     * <p>Their names differ, and each can be built [machines-1]. Exactly one vendor claims each, opens it, and probes
     * its functions to the units that the description names [machines-2].
     */
    List<MachineDescription> machines();

    /**
     * Recognises a unit of a captured host, so that a machine can be built which has it.
     *
     * <p>Linux may show a unit without attributes; then the registers that its log printed, and firmware's tables, make
     * the unit.
     *
     * @param name the directory under {@code /sys/class/iommu}, for example {@code dmar0}
     * @param attributes trimmed contents of the files below it by path, for example {@code intel-iommu/cap}; empty
     *     where Linux shows none
     * @param known what else the host's inputs have of the unit
     * @param firmware the host's ACPI tables
     * @return the unit, or empty when it is not this vendor's [recognise-1]
     * @throws IllegalArgumentException when it is this vendor's and what is known of it is malformed or not enough
     *     [recognise-2]
     */
    Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware);

    /**
     * Recognises a unit in a copy of its registers and reads the tables that they lead to.
     *
     * @param registers as far as they were read
     * @param memory the image; only {@link Fabric#isMemory} and {@link Fabric#read} are called
     * @return the reader, or empty when these can't be registers of this vendor's unit [reader-1]
     * @throws IllegalArgumentException when they are this vendor's and a word that is needed is missing or makes no
     *     sense; the message says which [reader-2]
     */
    default Optional<TableReader> reader(RegisterDump registers, Fabric memory) {
        Objects.requireNonNull(registers, "registers");
        Objects.requireNonNull(memory, "memory");
        return Optional.empty();
    }

    /**
     * Builds a unit at power-on.
     *
     * @throws IllegalArgumentException when its registers are missing or make no sense [create-1]
     */
    TranslationUnit create(TranslationUnitSpec spec, Fabric fabric);
}
