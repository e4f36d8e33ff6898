// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** Intel VT-d units: how they are built, how a captured one is recognised, and the built-in machines that have them. */
public final class VtdUnitProvider implements TranslationUnitProvider {
    /** The provider's name. */
    public static final String NAME = "vtd";

    /** CAP of a server unit: 48-bit tables of 4 levels, 2M and 1G leaves, 8 fault records, no caching mode. */
    public static final long CAP_4_LEVEL = 0xd2078c106f0466L;

    /** ECAP with snoop control and coherent page walks. */
    public static final long ECAP_SNOOP_CONTROL = 0xf020dfL;

    /** ECAP without snoop control, with coherent page walks. */
    public static final long ECAP_NO_SNOOP_CONTROL = 0xf0205bL;

    /** The bit of ECAP that says that page walks are coherent. */
    public static final long ECAP_C = 1L;

    /** For {@link java.util.ServiceLoader}. */
    public VtdUnitProvider() {}

    @Override
    public String name() {
        return NAME;
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
        throw new IllegalArgumentException("unit " + spec.name() + " can't be built");
    }

    /**
     * Describes a unit.
     *
     * @param name as Linux shows it, for example {@code dmar0}
     * @param registerBase physical address of its registers, 4 KiB aligned
     * @param cap the value of CAP
     * @param ecap the value of ECAP
     */
    public static TranslationUnitSpec unit(String name, long registerBase, long cap, long ecap) {
        return new TranslationUnitSpec(
                NAME, name, 0, registerBase, 4096, Map.of("VER", 0x10L, "CAP", cap, "ECAP", ecap));
    }

    /**
     * Describes a machine like {@code intel-sc} whose one unit has other capabilities.
     *
     * @param name the machine's name
     * @param cap the value of CAP
     * @param ecap the value of ECAP
     */
    public static MachineDescription machine(String name, long cap, long ecap) {
        throw new IllegalArgumentException(name + " " + cap + " " + ecap);
    }
}
