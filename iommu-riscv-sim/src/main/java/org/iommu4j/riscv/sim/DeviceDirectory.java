// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.riscv.sim.DeviceContext.MODE;

import org.iommu4j.sim.spi.AccessStatus;
import org.jspecify.annotations.Nullable;

/**
 * The device directory. Source: manual, "Process to locate the Device-context" and "Device-context configuration
 * checks".
 */
final class DeviceDirectory {
    private static final int INDEX_BITS = 9;
    private static final int MODE_FLAT = 1;
    /** The width of all device ids. */
    static final int DEVICE_ID_BITS = 24;

    private final Memory memory;
    private final Features features;
    private final Control control;
    private final Caches caches;
    private final int leafBits;
    private final int bytes;

    DeviceDirectory(Memory memory, Features features, Control control, Caches caches) {
        this.memory = memory;
        this.features = features;
        this.control = control;
        this.caches = caches;
        leafBits = features.msiFlat ? 6 : 7;
        bytes = features.msiFlat ? DeviceContext.EXTENDED_BYTES : DeviceContext.BASE_BYTES;
    }

    /** Returns the width of device ids in a mode. */
    int deviceBits(int mode) {
        int levels = mode - Control.BARE;
        return levels < 1 ? DEVICE_ID_BITS : Math.min(leafBits + INDEX_BITS * (levels - 1), DEVICE_ID_BITS);
    }

    /** Returns whether a device id is not too wide for a mode. */
    boolean has(int mode, int device) {
        return device >>> deviceBits(mode) == 0;
    }

    /** Finds the context of a request's device, and keeps it in the request; null, with the cause, if there is none. */
    @Nullable
    DeviceContext locate(Request request, long ddtp) {
        if (!has(Control.mode(ddtp), request.device)) {
            request.fault(Cause.TYPE_DISALLOWED);
            return null;
        }
        DeviceContext context = caches.devices.find(request.device);
        if (context == null) {
            long leaf = leaf(request, ddtp);
            context = leaf < 0 ? null : read(request, leaf + (request.device & ((1L << leafBits) - 1)) * bytes);
            if (context == null) {
                return null;
            }
            caches.devices.fill(context, request.epoch);
        }
        request.context = context;
        return context;
    }

    /** Returns the address of the table of contexts, or -1. */
    private long leaf(Request request, long ddtp) {
        long table = Control.root(ddtp);
        for (int level = Control.mode(ddtp) - Control.BARE - 1; level > 0; level--) {
            long prefix = Integer.toUnsignedLong(request.device) >>> (leafBits + INDEX_BITS * (level - 1));
            long place = prefix << 2 | level;
            long entry = caches.deviceTables.find(DeviceContext.TAGGED, place);
            if (entry == EntryCache.MISS) {
                entry = readEntry(request, table + (prefix & ((1 << INDEX_BITS) - 1)) * Long.BYTES);
                if (entry == EntryCache.MISS) {
                    return -1;
                }
                caches.deviceTables.fill(DeviceContext.TAGGED, place, 0, entry, request.epoch);
            }
            table = PageDirectory.next(entry);
        }
        return table;
    }

    private long readEntry(Request request, long at) {
        long entry = memory.read(at, control.isBigEndian());
        AccessStatus status = memory.status(at, entry);
        if (status != AccessStatus.OK) {
            return unreadable(request, status);
        }
        if (!PageDirectory.isValid(entry)) {
            return request.fault(Cause.DDT_NOT_VALID);
        }
        return PageDirectory.isMalformed(entry) ? request.fault(Cause.DDT_MISCONFIGURED) : entry;
    }

    private static long unreadable(Request request, AccessStatus status) {
        return request.fault(status == AccessStatus.POISON ? Cause.DDT_CORRUPT : Cause.DDT_LOAD);
    }

    private @Nullable DeviceContext read(Request request, long at) {
        long[] words = request.words;
        for (int i = 0; i < bytes / Long.BYTES; i++) {
            words[i] = memory.read(at + (long) i * Long.BYTES, control.isBigEndian());
            AccessStatus status = memory.status(at + (long) i * Long.BYTES, words[i]);
            if (status != AccessStatus.OK) {
                unreadable(request, status);
                return null;
            }
        }
        if (!DeviceContext.V.isSet(words[DeviceContext.TC])) {
            request.fault(Cause.DDT_NOT_VALID);
            return null;
        }
        if (isMisconfigured(words)) {
            request.fault(Cause.DDT_MISCONFIGURED);
            return null;
        }
        return new DeviceContext(request.device, words, features.msiFlat);
    }

    private boolean isMisconfigured(long[] words) {
        return hasBadControls(words)
                || hasBadStages(words)
                || (features.msiFlat && hasBadMsis(words))
                || hasBadQosIds(words[DeviceContext.TA]);
    }

    private boolean hasBadControls(long[] words) {
        long tc = words[DeviceContext.TC];
        boolean ats = DeviceContext.EN_ATS.isSet(tc);
        boolean pri = DeviceContext.EN_PRI.isSet(tc);
        boolean prpr = DeviceContext.PRPR.isSet(tc);
        boolean t2gpa = DeviceContext.T2GPA.isSet(tc);
        boolean updates = DeviceContext.SADE.isSet(tc) || DeviceContext.GADE.isSet(tc);
        return (tc & DeviceContext.RESERVED_TC) != 0
                || (!features.ats && (ats || pri || prpr))
                || (!ats && (t2gpa || pri))
                || (!pri && prpr)
                || (t2gpa && (!features.t2gpa || MODE.get(words[DeviceContext.IOHGATP]) == Features.MODE_BARE))
                || (!DeviceContext.PDTV.isSet(tc) && DeviceContext.DPE.isSet(tc))
                || (updates && !features.atomicUpdates)
                || (!features.bothEndians && DeviceContext.SBE.isSet(tc) != control.isBigEndian())
                || DeviceContext.SXL.isSet(tc);
    }

    private boolean hasBadStages(long[] words) {
        long iohgatp = words[DeviceContext.IOHGATP];
        int second = (int) MODE.get(iohgatp);
        int first = (int) MODE.get(words[DeviceContext.FSC]);
        boolean processes = DeviceContext.PDTV.isSet(words[DeviceContext.TC]);
        return (words[DeviceContext.FSC] & DeviceContext.RESERVED_FSC) != 0
                || !features.hasSecondStage(second)
                || (second != Features.MODE_BARE && (iohgatp & 3) != 0)
                || !(processes ? features.hasProcessDirectory(first) : features.hasFirstStage(first));
    }

    private boolean hasBadMsis(long[] words) {
        long msiptp = words[DeviceContext.MSIPTP];
        long mode = MODE.get(msiptp);
        boolean bare = MODE.get(words[DeviceContext.IOHGATP]) == Features.MODE_BARE;
        return (msiptp & DeviceContext.RESERVED_FSC) != 0
                || mode > MODE_FLAT
                || (mode != 0 && bare)
                || ((words[DeviceContext.MSI_MASK] | words[DeviceContext.MSI_PATTERN]) & features.reservedMsiPageBits)
                        != 0
                || words[DeviceContext.RESERVED] != 0;
    }

    private boolean hasBadQosIds(long ta) {
        long ids = DeviceContext.RCID.get(ta) | DeviceContext.MCID.get(ta) << 16;
        return (ta & DeviceContext.RESERVED_TA) != 0 || (ids & ~features.qosIdBits) != 0;
    }
}
