// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.jspecify.annotations.Nullable;

/**
 * The path of a request. Source: manual, "Process to translate an IOVA"; the numbers in comments are its steps.
 *
 * <p>An address that is wider than the unit's physical addresses is an access fault.
 */
final class Translator {
    /** Log2 of the range that is reported where no stage translates: 1 GiB. */
    private static final int BARE_SHIFT = 30;

    private final Memory memory;
    private final Control control;
    private final Caches caches;
    private final DeviceDirectory devices;
    private final ProcessDirectory processes;
    private final FirstStage first;
    private final SecondStage second;
    private final MsiTable msis;

    Translator(Memory memory, Features features, Control control, Caches caches) {
        this.memory = memory;
        this.control = control;
        this.caches = caches;
        devices = new DeviceDirectory(memory, features, control, caches);
        second = new SecondStage(memory, features, control, caches);
        first = new FirstStage(memory, features, caches, second);
        processes = new ProcessDirectory(memory, features, caches, second);
        msis = new MsiTable(memory, features, control, caches);
    }

    DeviceDirectory devices() {
        return devices;
    }

    ProcessDirectory processes() {
        return processes;
    }

    SecondStage second() {
        return second;
    }

    /**
     * Returns the cached page of an untranslated request in the usual case, which is a first stage alone and a user's
     * request with all rights; 0 when anything else is to be seen to.
     */
    long cachedPage(int deviceId, long address, long wanted) {
        int mode = Control.mode(control.directory());
        DeviceContext device = caches.devices.find(deviceId);
        if (device == null || device.plainTag == 0 || mode <= Control.BARE || !devices.has(mode, deviceId)) {
            return 0;
        }
        long page = caches.firstPages.find(device.plainTag, address >>> 12);
        long needed = wanted | Pte.U | Pte.A | (wanted & Pte.W) << Pte.W_TO_D;
        return (page & needed) == needed && !memory.isBeyond(Pte.translate(page, address)) ? page : 0;
    }

    /** Answers a request; {@link Request#cause} says whether it is refused. */
    void translate(Request request) {
        request.epoch = caches.epoch.current();
        request.granted = Pte.RIGHTS;
        request.shift = Long.SIZE;
        request.translated = request.address;
        find(request);
        if (request.shift == Long.SIZE) {
            request.shift = BARE_SHIFT;
        }
    }

    private void find(Request request) {
        boolean untranslated = request.type == Request.UNTRANSLATED;
        long ddtp = control.directory();
        int mode = Control.mode(ddtp);
        if (mode == Control.OFF) { // 1
            request.fault(Cause.ALL_DISALLOWED);
        } else if (mode == Control.BARE) { // 2
            if (untranslated) {
                checkWidth(request);
            } else {
                request.fault(Cause.TYPE_DISALLOWED);
            }
        } else {
            DeviceContext device = devices.locate(request, ddtp); // 3 to 6
            if (device != null) {
                translate(request, device, untranslated);
            }
        }
    }

    private void translate(Request request, DeviceContext device, boolean untranslated) {
        boolean pdtv = device.is(DeviceContext.PDTV);
        if ((!untranslated && !device.is(DeviceContext.EN_ATS))
                || (request.hasProcess() && !(pdtv && isInDirectory(device, request.process)))) { // 7
            request.fault(Cause.TYPE_DISALLOWED);
            return;
        }
        boolean translated = request.type == Request.TRANSLATED;
        if (translated && !device.is(DeviceContext.T2GPA)) { // 8
            checkWidth(request);
            return;
        }
        long page = translated ? 0 : pdtv ? ofProcess(request, device) : ofDevice(request, device); // 9
        if (request.cause == Cause.NONE) {
            afterFirstStage(request, device, page);
        }
    }

    /** Returns the page of a device with one first stage, 0 if that is Bare or faults. */
    private long ofDevice(Request request, DeviceContext device) { // 10
        return device.firstMode == Features.MODE_BARE
                ? 0
                : first.translate(request, device, device.fsc, DeviceContext.PSCID.get(device.ta), false);
    }

    /** Returns the page of a device whose processes have first stages, 0 if that is Bare or faults. */
    private long ofProcess(Request request, DeviceContext device) {
        if (device.firstMode == 0 || (!request.hasProcess() && !device.is(DeviceContext.DPE))) { // 11 to 13
            return 0;
        }
        ProcessContext process = process(request, device);
        if (process == null || DeviceContext.MODE.get(process.fsc()) == Features.MODE_BARE) {
            return 0;
        }
        boolean sum = ProcessContext.SUM.isSet(process.ta()); // 16, 17
        return first.translate(request, device, process.fsc(), DeviceContext.PSCID.get(process.ta()), sum);
    }

    private static boolean isInDirectory(DeviceContext device, int process) {
        return device.firstMode == 0 || ProcessDirectory.has(device.firstMode, process);
    }

    private @Nullable ProcessContext process(Request request, DeviceContext device) {
        ProcessContext process = processes.locate(request, device, Math.max(request.process, 0)); // 14
        if (process != null && request.privileged && !ProcessContext.ENS.isSet(process.ta())) { // 15
            request.fault(Cause.TYPE_DISALLOWED);
            return null;
        }
        return process;
    }

    /** Goes on with the page that the first stage brought, 0 if it is Bare. */
    private void afterFirstStage(Request request, DeviceContext device, long page) {
        long address = request.address;
        if (page != 0) {
            address = Pte.translate(page, address);
            narrow(request, page);
            request.memoryType = Pte.memoryType(page);
            request.global = (page & Pte.G) != 0;
        }
        request.translated = address;
        if (!device.hasSecondStage()) {
            checkWidth(request);
            return;
        }
        boolean file = device.isInterruptFile(address >>> 12); // 18
        long physical =
                file ? msis.translate(request, device, address) : second.explicit(request, device, address); // 19
        request.msi = file;
        if (request.isForMrif()) {
            request.granted &= Pte.R | Pte.W;
            request.shift = Pte.shift(0);
            return;
        }
        if (physical == 0) {
            return;
        }
        narrow(request, physical);
        while (!file && device.meetsInterruptFile(address, request.shift)) {
            request.shift--; // the files within have other translations
        }
        if (request.memoryType == 0) {
            request.memoryType = Pte.memoryType(physical);
        }
        boolean guestAddress = request.isTranslationRequest() && device.is(DeviceContext.T2GPA);
        if (!guestAddress) {
            request.translated = Pte.translate(physical, address);
            checkWidth(request);
        }
    }

    private static void narrow(Request request, long page) {
        boolean clean = (page & Pte.D) == 0 && (request.wanted & Pte.W) == 0;
        request.granted &= clean ? page & ~Pte.W : page; // a write would have to mark the page first
        request.shift = Math.min(request.shift, Pte.shiftOf(page));
    }

    /** Refuses an address that is not a physical one. */
    private void checkWidth(Request request) {
        if (memory.isBeyond(request.translated)) {
            request.accessFault();
        }
    }
}
