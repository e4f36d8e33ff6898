// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.AnnotatedType;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The public signatures of a module: its exported packages, their public types, and of each type what a caller or a
 * subclass can name. A change of a line is a change of what others compile against.
 */
final class ApiSignatures {
    private static final int CALLABLE = Modifier.PUBLIC | Modifier.PROTECTED;

    private ApiSignatures() {}

    /**
     * Lists a module's signatures, one on a line, sorted so that nothing depends on the compiler's order.
     *
     * @param anchor any class of the module
     */
    static List<String> of(Class<?> anchor) throws IOException {
        List<String> lines = new ArrayList<>();
        try (ModuleFiles files = ModuleFiles.of(anchor)) {
            ModuleDescriptor module = files.descriptor();
            lines.add("module " + module.name());
            for (String exported : exportsOf(module)) {
                lines.add("");
                lines.add("package " + exported);
                List<Class<?>> types = new ArrayList<>();
                files.classesIn(exported).forEach(name -> types.add(load(name, anchor)));
                lines.addAll(of(types));
            }
        }
        return lines;
    }

    /** Lists the signatures of types in the given order; nothing of those that nobody outside can name. */
    static List<String> of(List<Class<?>> types) {
        List<String> lines = new ArrayList<>();
        types.forEach(type -> addType(type, lines));
        return lines;
    }

    /** Returns the packages that a module exports to everybody, sorted. */
    static Collection<String> exportsOf(Class<?> anchor) {
        try (ModuleFiles files = ModuleFiles.of(anchor)) {
            return exportsOf(files.descriptor());
        } catch (IOException e) {
            throw new IllegalStateException("can't read the module of " + anchor, e);
        }
    }

    private static Collection<String> exportsOf(ModuleDescriptor module) {
        return module.exports().stream()
                .filter(export -> !export.isQualified())
                .map(ModuleDescriptor.Exports::source)
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private static Class<?> load(String name, Class<?> anchor) {
        try {
            return Class.forName(name, false, anchor.getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException("no class " + name + " beside " + anchor, e);
        }
    }

    private static void addType(Class<?> type, List<String> lines) {
        if (!isVisible(type)) {
            return;
        }
        lines.add("");
        lines.add(declaration(type));
        Map<String, String> members = new TreeMap<>();
        for (Field field : type.getDeclaredFields()) {
            if (isCallable(field.getModifiers()) && !field.isSynthetic()) {
                members.put(
                        field.getName(),
                        field.isEnumConstant()
                                ? ""
                                : modifiers(field.getModifiers(), type)
                                        + annotated(field.getAnnotatedType(), field.getGenericType()) + " ");
            }
        }
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (isCallable(constructor.getModifiers()) && !constructor.isSynthetic()) {
                members.put(
                        type.getSimpleName() + parameters(constructor), modifiers(constructor.getModifiers(), type));
            }
        }
        for (Method method : type.getDeclaredMethods()) {
            if (isCallable(method.getModifiers()) && !method.isSynthetic() && !isImpliedByKind(method, type)) {
                members.put(
                        method.getName() + parameters(method),
                        (method.isDefault() ? "default " : "")
                                + modifiers(method.getModifiers(), type)
                                + typeParameters(method.getTypeParameters())
                                + annotated(method.getAnnotatedReturnType(), method.getGenericReturnType()) + " ");
            }
        }
        members.forEach((member, before) -> lines.add("    " + before + member));
    }

    private static String declaration(Class<?> type) {
        StringBuilder text = new StringBuilder();
        int flags = type.getModifiers();
        text.append((flags & Modifier.PROTECTED) != 0 ? "protected " : "");
        text.append(type.isSealed() ? "sealed " : "");
        if (!type.isInterface() && !type.isEnum() && !type.isRecord()) {
            text.append(Modifier.isAbstract(flags) ? "abstract " : Modifier.isFinal(flags) ? "final " : "");
        }
        text.append(
                type.isAnnotation()
                        ? "@interface "
                        : type.isInterface()
                                ? "interface "
                                : type.isEnum() ? "enum " : type.isRecord() ? "record " : "class ");
        text.append(type.getName().substring(type.getPackageName().length() + 1).replace('$', '.'));
        text.append(typeParameters(type.getTypeParameters()).strip());
        if (type.isRecord()) {
            text.append(Arrays.stream(type.getRecordComponents())
                    .map(ApiSignatures::component)
                    .collect(Collectors.joining(", ", "(", ")")));
        }
        Class<?> parent = type.getSuperclass();
        if (parent != null && parent != Object.class && !type.isEnum() && !type.isRecord()) {
            text.append(" extends ").append(name(type.getGenericSuperclass()));
        }
        if (type.getGenericInterfaces().length > 0) {
            text.append(type.isInterface() ? " extends " : " implements ").append(names(type.getGenericInterfaces()));
        }
        if (type.isSealed()) {
            text.append(" permits ").append(names(type.getPermittedSubclasses()));
        }
        return text.toString();
    }

    private static String component(RecordComponent component) {
        return annotated(component.getAnnotatedType(), component.getGenericType()) + " " + component.getName();
    }

    private static String parameters(Executable executable) {
        AnnotatedType[] annotated = executable.getAnnotatedParameterTypes();
        Type[] types = executable.getGenericParameterTypes();
        List<String> names = new ArrayList<>();
        for (int i = 0; i < types.length; i++) {
            String name = annotated(annotated[i], types[i]);
            boolean variable = executable.isVarArgs() && i == types.length - 1;
            names.add(variable ? name.substring(0, name.length() - 2) + "..." : name);
        }
        return "(" + String.join(", ", names) + ")";
    }

    private static String typeParameters(TypeVariable<?>[] variables) {
        if (variables.length == 0) {
            return "";
        }
        return Arrays.stream(variables)
                .map(variable -> variable.getName()
                        + (variable.getBounds()[0] == Object.class ? "" : " extends " + names(variable.getBounds())))
                .collect(Collectors.joining(", ", "<", "> "));
    }

    private static String modifiers(int modifiers, Class<?> type) {
        boolean isInterface = type.isInterface();
        return ((modifiers & Modifier.PROTECTED) != 0 ? "protected " : "")
                + ((modifiers & Modifier.STATIC) != 0 ? "static " : "")
                + ((modifiers & Modifier.ABSTRACT) != 0 && !isInterface ? "abstract " : "")
                + ((modifiers & Modifier.FINAL) != 0 ? "final " : "");
    }

    /** Methods that every enum and every record has by being one. */
    private static boolean isImpliedByKind(Method method, Class<?> type) {
        return switch (method.getName()) {
            case "values", "valueOf" -> type.isEnum();
            case "equals", "hashCode", "toString" -> true;
            default ->
                type.isRecord()
                        && method.getParameterCount() == 0
                        && Arrays.stream(type.getRecordComponents())
                                .anyMatch(component -> component.getName().equals(method.getName()));
        };
    }

    private static boolean isVisible(Class<?> type) {
        for (Class<?> outer = type; outer != null; outer = outer.getEnclosingClass()) {
            if (!isCallable(outer.getModifiers()) || outer.isSynthetic() || outer.isAnonymousClass()) {
                return false;
            }
        }
        return !type.getSimpleName().equals("package-info");
    }

    private static boolean isCallable(int modifiers) {
        return (modifiers & CALLABLE) != 0;
    }

    private static String annotated(AnnotatedType annotated, Type type) {
        return (isNullable(annotated) ? "@Nullable " : "") + name(type);
    }

    private static boolean isNullable(AnnotatedElement element) {
        return element.isAnnotationPresent(Nullable.class);
    }

    private static String names(Type[] types) {
        return Arrays.stream(types).map(ApiSignatures::name).collect(Collectors.joining(", "));
    }

    /** Leaves out the packages that every reader knows. */
    private static String name(Type type) {
        return type.getTypeName()
                .replace("java.lang.", "")
                .replace("java.util.", "")
                .replace('$', '.');
    }

    /** The class files of a module, in a directory or a jar. */
    private record ModuleFiles(Path root, @Nullable FileSystem jar) implements AutoCloseable {
        static ModuleFiles of(Class<?> anchor) throws IOException {
            Path place;
            try {
                place = Path.of(anchor.getProtectionDomain()
                        .getCodeSource()
                        .getLocation()
                        .toURI());
            } catch (URISyntaxException e) {
                throw new IllegalStateException("the place of " + anchor + " is no path", e);
            }
            if (Files.isDirectory(place)) {
                return new ModuleFiles(place, null);
            }
            FileSystem jar = FileSystems.newFileSystem(place);
            return new ModuleFiles(jar.getPath("/"), jar);
        }

        ModuleDescriptor descriptor() throws IOException {
            try (InputStream in = Files.newInputStream(root.resolve("module-info.class"))) {
                return ModuleDescriptor.read(in);
            }
        }

        /** Returns the names of the classes of one package, sorted. */
        Collection<String> classesIn(String name) throws IOException {
            TreeMap<String, String> names = new TreeMap<>();
            try (Stream<Path> files = Files.list(root.resolve(name.replace('.', '/')))) {
                files.map(file -> file.getFileName().toString())
                        .filter(file -> file.endsWith(".class"))
                        .map(file -> name + "." + file.substring(0, file.length() - ".class".length()))
                        .forEach(each -> names.put(each.replace('$', '.'), each));
            }
            return names.values();
        }

        @Override
        public void close() throws IOException {
            if (jar != null) {
                jar.close();
            }
        }
    }
}
