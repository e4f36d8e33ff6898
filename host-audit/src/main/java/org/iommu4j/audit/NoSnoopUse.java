// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.spi.Reason;

/**
 * A Linux driver's known use of no-snoop.
 *
 * <p>Once a device is assigned, the guest's driver decides. The host's driver shows what a Linux guest would do.
 *
 * @param kind the kind of use
 * @param why the use in words, with its source
 */
public record NoSnoopUse(Kind kind, Reason why) {
    /** Refuses what is missing. */
    public NoSnoopUse {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(why, "why");
    }

    /** A driver's use of no-snoop. */
    public enum Kind {
        /** It sends no-snoop requests and flushes CPU caches for them. */
        USES,
        /** It sends them on some devices or settings. */
        MAY_USE,
        /** It turns them off. */
        DISABLES,
        /** Its devices have none. */
        NONE
    }

    private static final Map<String, NoSnoopUse> BY_DRIVER = Map.ofEntries(
            uses("i915", "flushes all CPUs' caches with WBINVD for its no-snoop accesses", "Linux i915_gem_dmabuf.c"),
            uses("xe", "has page attributes without coherency (coh_mode 0)", "Linux xe_pat.c"),
            uses("atomisp", "flushes with WBINVD for its no-snoop accesses", "Linux atomisp"),
            mayUse("amdgpu", "maps some memory without the SNOOPED bit", "Linux amdgpu_vm.h AMDGPU_PTE_SNOOPED"),
            mayUse(
                    "snd_hda_intel",
                    "runs some controllers without snooping (parameter snoop, AZX_DCAPS_SNOOP_OFF)",
                    "Linux sound/pci/hda/hda_intel.c"),
            mayUse("cxgb4", "can ask for no-snoop per request", "Linux t4_msg.h"),
            mayUse("sfc", "can ask for no-snoop per request", "Linux drivers/net/ethernet/sfc"),
            mayUse("ath10k_pci", "can ask for no-snoop per request", "Linux drivers/net/wireless/ath/ath10k"),
            disables("tg3", "clears Enable No Snoop", "Linux tg3.c"),
            disables("niu", "clears Enable No Snoop", "Linux niu.c"),
            disables("netup_unidvb", "clears Enable No Snoop", "Linux netup_unidvb_core.c"),
            disables("tsi721", "clears Enable No Snoop", "Linux tsi721.c"),
            disables("mtip32xx", "clears Enable No Snoop of the bridge above", "Linux mtip32xx.c"),
            disables("ixgbe", "turns it off inside the device (CTRL_EXT.NS_DIS)", "Linux ixgbe_common.c"),
            disables("e1000e", "turns it off inside the device (GCR)", "Linux e1000e/82571.c"),
            disables("hinic", "asks for snooping in its attributes", "Linux hinic_hw_if.c"),
            disables("hinic3", "asks for snooping in its attributes", "Linux hinic3_hwif.c"),
            none("nvme", "NVMe has no control of no-snoop", "NVM Express Base Specification"));

    /** Finds the known use of no-snoop by a driver. */
    public static Optional<NoSnoopUse> of(String driver) {
        return Optional.ofNullable(BY_DRIVER.get(driver.replace('-', '_')));
    }

    private static Map.Entry<String, NoSnoopUse> uses(String driver, String text, String source) {
        return entry(Kind.USES, driver, text, source);
    }

    private static Map.Entry<String, NoSnoopUse> mayUse(String driver, String text, String source) {
        return entry(Kind.MAY_USE, driver, text, source);
    }

    private static Map.Entry<String, NoSnoopUse> disables(String driver, String text, String source) {
        return entry(Kind.DISABLES, driver, text, source);
    }

    private static Map.Entry<String, NoSnoopUse> none(String driver, String text, String source) {
        return entry(Kind.NONE, driver, text, source);
    }

    private static Map.Entry<String, NoSnoopUse> entry(Kind kind, String driver, String text, String source) {
        return Map.entry(driver, new NoSnoopUse(kind, new Reason("driver " + driver + ": " + text, source)));
    }
}
