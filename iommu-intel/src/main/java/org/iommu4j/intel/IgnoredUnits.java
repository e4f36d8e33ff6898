// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.intel.acpi.DeviceScope;
import org.iommu4j.intel.acpi.RemappingStructure.Drhd;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The units of DMAR that Linux does not use; their translation is turned off.
 *
 * <p>Source: Linux {@code init_no_remapping_devices}, {@code init_dmars}, {@code detect_intel_iommu}. Quirks of
 * single chipsets about graphics are not modelled, not even those that forbid turning translation off.
 */
final class IgnoredUnits {
    private static final Logger LOG = LoggerFactory.getLogger(IgnoredUnits.class);

    private static final String SOURCE = "Linux init_no_remapping_devices";

    /** The reason to ignore a unit that has only graphics devices. */
    static final Reason GRAPHICS_OFF =
            new Reason("it has only graphics, and the command line has intel_iommu=igfx_off", SOURCE);

    private static final Reason OPTED_OUT = new Reason(
            "firmware wants DMA not to be remapped (DMAR's flag 3), which nothing overrides",
            "Linux detect_intel_iommu");

    private static final int CLASS_CODE = 8;
    private static final int BASE_CLASS_DISPLAY = 0x03;

    private final ScopeResolver scopes;
    private final BootOptions bootOptions;
    private final boolean whole;
    private final boolean optedOut;

    /**
     * Judges units of a machine.
     *
     * @param optedOut whether the release listens to firmware that wants none used, and firmware does
     * @param scopes the machine's functions
     * @param whole whether these are all functions; if not, others may exist
     */
    IgnoredUnits(boolean optedOut, ScopeResolver scopes, BootOptions bootOptions, boolean whole) {
        this.optedOut = optedOut;
        this.scopes = scopes;
        this.bootOptions = bootOptions;
        this.whole = whole;
    }

    /** Returns why all units are ignored, empty when they are not all. */
    Optional<Reason> whyAll() {
        return optedOut ? Optional.of(OPTED_OUT) : Optional.empty();
    }

    /** Returns why a unit is ignored, empty when it is not ignored or this is uncertain. */
    Optional<Reason> why(Drhd unit) {
        if (optedOut) {
            return whyAll();
        }
        if (unit.includeAll()) {
            return Optional.empty();
        }
        boolean any = false;
        boolean graphicsAlone = true;
        for (DeviceScope scope : unit.scopes()) {
            if (!scope.isPci() && scope.type() != DeviceScope.NAMESPACE) {
                continue;
            }
            Optional<PciFunction> function = scope.isPci() ? scopes.find(unit.segment(), scope) : Optional.empty();
            boolean missing = scope.isPci() && function.isEmpty();
            if (missing && (!whole || scopes.isObscure(unit.segment(), scope))) {
                return Optional.empty();
            }
            any |= !missing;
            graphicsAlone &= missing || function.filter(IgnoredUnits::isDisplay).isPresent();
        }
        if (!any) {
            return Optional.of(new Reason("no device of its scope exists", SOURCE));
        }
        return graphicsAlone && bootOptions.has("intel_iommu", "igfx_off")
                ? Optional.of(GRAPHICS_OFF)
                : Optional.empty();
    }

    /**
     * Turns translation off where firmware or an earlier kernel left it on, and changes nothing else. A unit whose
     * registers can't be read is left unchanged.
     *
     * @throws IommuException ETIMEDOUT when the unit does not confirm it
     */
    static void turnOff(String name, Drhd unit, VendorContext context) {
        RegisterWindow window;
        try {
            window = context.registers().map(unit.registerBase(), DmarRegisters.MINIMUM_SIZE);
        } catch (IommuException e) {
            LOG.warn("{}, an ignored unit, is left unchanged: {}", name, e.getMessage());
            return;
        }
        try {
            turnOff(name, window, context.waiter());
        } finally {
            window.release();
        }
    }

    private static void turnOff(String name, RegisterWindow window, Waiter waiter) {
        int status = window.read32(DmarRegisters.GSTS.offset());
        if (status == -1) {
            LOG.warn("{}, an ignored unit, is left unchanged: GSTS reads all ones", name);
            return;
        }
        if (!DmarRegisters.TE.isSet(status)) {
            return;
        }
        LOG.info("{}, an ignored unit, was left on; turning its translation off", name);
        window.write32(DmarRegisters.GCMD.offset(), (int) (status & UnitCommands.STICKY & ~DmarRegisters.TE.mask()));
        if (!waiter.await(
                () -> !DmarRegisters.TE.isSet(window.read32(DmarRegisters.GSTS.offset())),
                UnitCommands.DEADLINE_TICKS)) {
            throw new IommuException(
                    Errno.ETIMEDOUT, name + ", an ignored unit, did not confirm that its translation is off");
        }
    }

    private static boolean isDisplay(PciFunction function) {
        return function.config().read(CLASS_CODE, 4) >>> 24 == BASE_CLASS_DISPLAY;
    }
}
